"""The report's style sheet: light and dark, phone and desktop, screen and print."""

from __future__ import annotations

import re

__all__ = ["SCOPED_STYLES", "STYLES"]

_LIGHT = """
  --page: #f6f7f9; --card: #fff; --ink: #16202c; --soft: #55616f; --rule: #dfe4ea; --grid: #e8ecf1;
  --pass: #00694f; --marginal: #855300; --fail: #b02a0c; --on: #fff;
  --pass-tint: #e3f3ee; --marginal-tint: #fdf1da; --fail-tint: #fdeae4;
  --canary: #0063b0; --baseline: #76808d; --zone: #eef2f6; --hatch: #d5a99c; --shade: 0 1px 2px #1018280f, 0 1px 6px #1018280a;
"""
_DARK = """
  --page: #0f141a; --card: #171e26; --ink: #e8edf3; --soft: #a3afbc; --rule: #2b3540; --grid: #25303a;
  --pass: #5fd3ac; --marginal: #f2bd5b; --fail: #ff937a; --on: #10161d;
  --pass-tint: #12302a; --marginal-tint: #342811; --fail-tint: #3a1d17;
  --canary: #5fb4ff; --baseline: #98a3b0; --zone: #202a34; --hatch: #6e4238; --shade: none;
"""

_RULES = """
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 400 15px/1.5 Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
.pass { --tone: var(--pass); --tint: var(--pass-tint); }
.marginal { --tone: var(--marginal); --tint: var(--marginal-tint); }
.fail { --tone: var(--fail); --tint: var(--fail-tint); }
.symbols { position: absolute; }
.wide, main { max-width: 1160px; margin: 0 auto; padding: 0 24px; }
h1, h2, h3, h4, p, ul, dl, dd, figure { margin: 0; padding: 0; }
ul { list-style: none; }

.mark { width: 1.05em; height: 1.05em; flex: none; stroke: var(--on); stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round; fill: none; }
#beyond path { stroke: var(--hatch); stroke-width: 2; }

.banner { background: var(--tint); border-top: 6px solid var(--tone); padding: 30px 0 26px; margin-bottom: 28px; }
.verdict { display: flex; align-items: center; gap: 16px; }
.verdict .mark { width: 52px; height: 52px; stroke-width: 2; }
h1 { font-size: 40px; line-height: 1.1; letter-spacing: -.02em; font-weight: 750; color: var(--tone); display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 16px; }
.action { font-size: 22px; font-weight: 600; letter-spacing: -.005em; color: var(--ink); }
.why { font-size: 20px; line-height: 1.4; font-weight: 450; max-width: 54em; margin-top: 16px; text-wrap: pretty; }
.why strong { font-weight: 650; }
.turn { color: var(--soft); max-width: 58em; margin-top: 6px; text-wrap: pretty; }
.tally { display: flex; flex-wrap: wrap; gap: 6px 22px; margin-top: 18px; font-size: 16px; }
.tally li { display: flex; align-items: center; gap: 7px; }
.about { color: var(--soft); font-size: 13.5px; margin-top: 10px; }
.about strong { color: var(--ink); font-weight: 600; }

h2 { font-size: 17px; font-weight: 650; letter-spacing: -.01em; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 28px; align-items: baseline; margin-bottom: 12px; }
.keys { display: flex; flex-wrap: wrap; gap: 2px 20px; font-size: 12.5px; color: var(--soft); }
.keys p { display: flex; align-items: center; gap: 7px; }
.key { width: 26px; height: 14px; flex: none; overflow: visible; --tone: var(--ink); }

.metric {
  background: var(--card); border: 1px solid var(--rule); border-left: 5px solid var(--tone); border-radius: 8px; box-shadow: var(--shade);
  padding: 16px 20px 0 18px; margin-bottom: 12px; display: grid; gap: 0 30px; align-items: start;
  grid-template-columns: minmax(0, 23fr) minmax(0, 27fr) minmax(0, 50fr);
}
.outcome { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 6px; font-size: 13px; font-weight: 650; color: var(--tone); }
.tags { display: inline-flex; flex-wrap: wrap; gap: 4px 5px; margin-left: 4px; }
.tags span { font-weight: 450; font-size: 11.5px; color: var(--soft); border: 1px solid var(--rule); border-radius: 99px; padding: 0 7px; line-height: 17px; white-space: nowrap; }
h3 { font-size: 16px; font-weight: 650; letter-spacing: -.01em; line-height: 1.3; margin-top: 5px; }
.glance { font-size: 21px; line-height: 1.25; font-weight: 600; letter-spacing: -.015em; margin-top: 5px; }
.beside { color: var(--soft); font-size: 13.5px; margin-top: 1px; }
.none { color: var(--soft); font-size: 13.5px; align-self: center; }

.effect { padding-top: 18px; }
.none.effect { text-align: center; }
.strip { display: block; width: 100%; overflow: visible; }
.strip text { font-size: 11.5px; fill: var(--soft); text-anchor: middle; }
.strip .told { fill: var(--ink); font-weight: 600; }
.strip .after { text-anchor: start; }
.strip .before { text-anchor: end; }
.within { fill: var(--zone); }
.beyond { fill: url(#beyond); }
.zero { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; }
.limit { stroke: var(--ink); stroke-width: 1.75; }
.fail-interval { stroke: var(--tone); stroke-width: 2; }
.end { stroke: var(--tone); stroke-width: 1.5; }
.pass-interval { stroke: var(--tone); stroke-width: 6.5; stroke-linecap: round; }
.estimate { fill: var(--card); stroke: var(--tone); stroke-width: 2.75; }
.arrow { overflow: visible; }
.arrow path { fill: none; stroke: var(--tone); stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
figcaption { color: var(--soft); font-size: 12.5px; line-height: 1.4; margin-top: 5px; text-align: center; }
figcaption span { display: block; text-wrap: balance; }

.arms { display: grid; grid-template-columns: minmax(0, 1fr) 104px; gap: 0 14px; }
.chart { position: relative; display: grid; grid-template-columns: auto minmax(0, 1fr); }
.ticks { position: relative; width: 54px; font-size: 11.5px; color: var(--soft); }
.ticks span { position: absolute; right: 8px; transform: translateY(-50%); line-height: 1; white-space: nowrap; }
.chart svg, .spread svg { display: block; width: 100%; height: 112px; overflow: visible; }
.ends, .names { font-size: 11.5px; color: var(--soft); margin-top: 6px; line-height: 1.3; display: flex; justify-content: space-between; }
.ends { grid-column: 2; }
.names { justify-content: space-around; white-space: nowrap; }
.grid { stroke: var(--grid); stroke-width: 1; fill: none; vector-effect: non-scaling-stroke; }
.objective { stroke: var(--ink); stroke-width: 1.25; stroke-dasharray: 6 4; fill: none; vector-effect: non-scaling-stroke; }
.line { fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round; stroke-linecap: round; }
.line.baseline { stroke: var(--baseline); stroke-width: 1.5; stroke-dasharray: 4 3; }
.line.canary { stroke: var(--canary); stroke-width: 2; }
.band { stroke: none; opacity: .16; }
.band.baseline { fill: var(--baseline); }
.band.canary { fill: var(--canary); }
.strips.baseline { --arm: var(--baseline); }
.strips.canary { --arm: var(--canary); }
.strips rect { fill: var(--arm); opacity: .3; }
.strips line { stroke: var(--arm); stroke-width: 1; opacity: .7; }
.strips .median { stroke-width: 3; opacity: 1; stroke-linecap: round; }

details { grid-column: 1 / -1; margin: 12px -20px 0 -18px; border-top: 1px solid var(--rule); }
summary { cursor: pointer; padding: 8px 20px 8px 18px; font-size: 13px; color: var(--soft); font-weight: 500; }
summary:hover { color: var(--ink); }
summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--canary); outline-offset: -2px; }
.hint { margin-left: 10px; white-space: nowrap; color: var(--marginal); font-weight: 600; }
.inside { padding: 2px 20px 18px 18px; font-size: 14px; max-width: 74em; }
.inside > p { max-width: 62em; text-wrap: pretty; }
h4 { font-size: 13px; font-weight: 650; margin-top: 14px; }
.inside li { position: relative; padding-left: 16px; max-width: 62em; text-wrap: pretty; }
.inside li::before { content: "\\2013"; position: absolute; left: 0; color: var(--soft); }
.scroll { overflow-x: auto; margin-top: 12px; }
table { border-collapse: collapse; font-size: 13px; width: 100%; }
th, td { text-align: left; padding: 5px 18px 5px 0; border-bottom: 1px solid var(--rule); vertical-align: top; font-weight: 400; overflow-wrap: normal; }
thead th { color: var(--soft); font-size: 12px; }
tbody th { font-weight: 600; }
.said { color: var(--tone); font-weight: 600; white-space: nowrap; }
.said .mark { vertical-align: -2px; margin-right: 5px; }

.promise { margin: 30px 0 26px; font-size: 14px; color: var(--soft); }
.promise h2 { color: var(--ink); }
.promise p { max-width: 62em; margin-top: 6px; text-wrap: pretty; }
footer { border-top: 1px solid var(--rule); padding: 14px 0 30px; font-size: 12px; color: var(--soft); }
dl { display: grid; gap: 2px; }
dl div { display: flex; gap: 10px; }
dt { flex: 0 0 9em; }
dd { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; font-size: 11.5px; }

@media (max-width: 900px) {
  .metric { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  .arms { grid-column: 1 / -1; margin-top: 14px; }
}
@media (max-width: 560px) {
  .wide, main { padding: 0 14px; }
  .banner { padding: 20px 0 20px; margin-bottom: 20px; }
  .verdict { gap: 12px; }
  .verdict .mark { width: 42px; height: 42px; }
  h1 { font-size: 31px; }
  .action { font-size: 19px; }
  .why { font-size: 17px; margin-top: 13px; }
  .metric { grid-template-columns: minmax(0, 1fr); padding: 13px 14px 0 12px; }
  .effect { padding-top: 12px; }
  .arms { grid-template-columns: minmax(0, 1fr) 96px; gap: 0 8px; }
  .ticks { width: 46px; }
  details { margin: 12px -14px 0 -12px; }
  summary, .inside { padding-left: 12px; padding-right: 14px; }
  thead { position: absolute; clip-path: inset(50%); }
  tr { display: grid; grid-template-columns: 1fr auto; padding: 6px 0; border-bottom: 1px solid var(--rule); }
  th, td { border: 0; padding: 2px 0; }
  td[data-name] { grid-column: 1 / -1; display: flex; justify-content: space-between; gap: 14px; text-align: right; }
  td[data-name]::before { content: attr(data-name); color: var(--soft); text-align: left; flex: none; }
}
@media print {
  :root { --page: #fff; --shade: none; }
  body { font-size: 12px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .wide, main { max-width: none; padding: 0; }
  .metric, .promise { break-inside: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
  summary { list-style: none; }
  .scroll { overflow: visible; }
}
"""


def _short(style: str) -> str:
    """Leave out what a browser does not need."""
    return re.sub(r"\s*([{};:,])\s+|\s*\n\s*", lambda found: found[1] or "", style).strip()


STYLES = _short(
    f":root {{ color-scheme: light dark; {_LIGHT} }}\n"
    f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}\n{_RULES}"
)
"""The style sheet of the page."""

_PIECE = """
:scope { background: var(--page); padding: 0 0 2px; border-radius: 8px; overflow: hidden; }
.banner { padding: 16px 0 14px; margin-bottom: 12px; }
.verdict .mark { width: 34px; height: 34px; }
h1 { font-size: 26px; margin: 0; }
.why { font-size: 16px; margin-top: 8px; }
.metric { margin: 0 10px 10px; }
.metric > .beside { grid-column: 1 / -1; padding: 10px 0 12px; }
.promise { margin: 10px 20px; }
"""

_INSIDE = re.sub(r"(?m)^( *)(?::root|body|html) \{", r"\1:scope {", _RULES)
SCOPED_STYLES = _short(
    f".canaryjudge {{ {_LIGHT} }}\n"
    f"@media (prefers-color-scheme: dark) {{ .canaryjudge {{ {_DARK} }} }}\n"
    f"@scope (.canaryjudge) {{ {_INSIDE}\n{_PIECE} }}"
)
"""The same for a piece of a notebook, where it must not touch anything else."""
