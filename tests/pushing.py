"""Push batch after batch of points into a release of a store, as a gate does, and say which are acknowledged: python pushing.py URL NAME COUNT."""

import json
import sys
from dataclasses import replace

from canaryjudge.server.store import Store, StoredRelease

NEW = StoredRelease(
    service="checkout",
    revision="v42",
    version=0,
    policy_name="checkout",
    outcome=None,
    action=None,
    started=1.0,
    updated=1.0,
    next_pull=None,
    answer=None,
    settings="{}",
    policy="{}",
    state="[]",
    verdict=None,
)


def push(store, batch):
    """Add a batch to the list that is the state, until it is there; False if it was there before."""
    while True:
        release = store.read("checkout", "v42")
        if release is None:
            store.begin(NEW)
            continue
        if store.known("checkout", "v42", [batch]):
            return False
        state = json.dumps([*json.loads(release.state), batch])
        if store.write(replace(release, state=state, updated=release.updated + 1), [batch]):
            return True


if __name__ == "__main__":
    url, name, count = sys.argv[1:]
    store = Store(url)
    for number in range(int(count)):
        push(store, f"{name}-{number}")
        sys.stdout.write(f"{name}-{number}\n")
        sys.stdout.flush()
    store.close()
