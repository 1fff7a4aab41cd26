import pytest

from l2o.studies.reproduction import WorkFolder


@pytest.fixture
def parts_of_jobs(monkeypatch):
    """Which parts the jobs of a finished reproduction are about, stage by stage.

    Nothing is computed. No job may need what another one of its stage does, or two processes would
    do the same, and what is there after a stage may differ.
    """

    def find(stages):
        asked = []

        def once(self, name, compute):
            path = self.path / "parts" / f"{name}.json"
            assert path.exists(), f"{name} is no part of the reproduction"
            asked.append(name)
            return finished(self, name, compute)

        finished = WorkFolder.once
        monkeypatch.setattr(WorkFolder, "once", once)
        found = []
        for stage in stages:
            before = set().union(*found)
            of_stage = set()
            for job in stage:
                asked.clear()
                job.do()
                new = set(asked) - before
                assert new, f"{job.title} does nothing that is not there"
                assert not new & of_stage, f"{job.title} does what another job of its stage does"
                of_stage |= new
            found.append(of_stage)
        return found

    return find


@pytest.fixture
def all_parts():
    """The names of all parts of a reproduction."""

    def find(folder):
        parts = folder / "parts"
        return {str(path.relative_to(parts).with_suffix("")) for path in parts.rglob("*.json")}

    return find
