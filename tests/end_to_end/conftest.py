"""The fixtures of the tests from one end to the other."""

from __future__ import annotations

from headland.tests.support.fixtures import folder, job_folders, project, scene, web  # noqa: F401
