"""HTML as a test reads it."""

import re
from html.parser import HTMLParser

__all__ = ["Page"]

VOID = {"meta", "link", "br", "img", "circle", "path", "line", "rect", "use"}


class Page(HTMLParser):
    """Checks that every tag is closed, and collects what is on the page."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text, self.ids = [], [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        facts = dict(attributes)
        self.tags.append((tag, facts))
        self.ids += [facts["id"]] if "id" in facts else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text).replace("\xa0", " "))
