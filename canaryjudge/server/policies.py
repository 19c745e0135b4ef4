"""The policies that a gate judges by: the files of a folder, by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from canaryjudge.data.diagnostics import likely_name
from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.monitor import Monitor
from canaryjudge.patterns import Rollout
from canaryjudge.policy import Policy, load_policy

__all__ = ["DEFAULT", "PolicyFolder", "UnknownPolicyError"]

DEFAULT: Final = "default"
"""The policy of services that have none of their own."""
_ENDINGS: Final = (".yaml", ".yml", ".json")


class UnknownPolicyError(DataError):
    """There is no policy of that name."""


class PolicyFolder:
    """A folder with a file a policy: NAME.yaml, NAME.yml or NAME.json. A file is read when a release begins, so that an edit holds for the next one.

    Parameters
    ----------
    path : str
        The folder.

    Raises
    ------
    DataError
        If it is no folder, or there is no policy in it.
    PolicyError
        If one of them cannot be read.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        if not self._path.is_dir():
            raise DataError(
                f"--policies {path}: there is no such folder", "Name the folder in which the policies are."
            )
        if not self.names:
            raise DataError(
                f"--policies {path}: there is no policy in it",
                "Put SERVICE.yaml there, or default.yaml for all services; canaryjudge init writes one.",
            )
        for name in self.names:
            self.read(name)

    @property
    def names(self) -> list[str]:
        """The policies' names, sorted."""
        return sorted(
            {file.stem for file in self._path.iterdir() if file.suffix in _ENDINGS and file.is_file()}
        )

    def read(self, name: str) -> Policy:
        """Read a policy, by its name alone: it is no path."""
        file = self._file(name)
        if file is None:
            raise UnknownPolicyError(
                f"there is no policy {name!r}", likely_name(name, self.names, "policies")
            )
        return load_policy(file)

    def of_service(self, service: str) -> str:
        """Name the policy of a service: its own, or the default."""
        known = self.names
        found = next((name for name in (service, DEFAULT) if name in known), None)
        if found is None:
            raise UnknownPolicyError(
                f"there is no policy for the service {service!r}",
                f"Put {service}.yaml or {DEFAULT}.yaml among the policies, or name one with ?policy=NAME; there are: {', '.join(known)}.",
            )
        return found

    def unwatched(self) -> dict[str, str]:
        """Say of which policies no release can be watched, and why: they are for finished data alone."""
        found = {}
        for name in self.names:
            try:
                policy = self.read(name)
                (Rollout if policy.stages else Monitor)(policy)
            except CanaryJudgeError as error:
                found[name] = error.message
        return found

    def _file(self, name: str) -> Path | None:
        return (
            next((file for end in _ENDINGS if (file := self._path / f"{name}{end}").is_file()), None)
            if name in self.names
            else None
        )
