"""What each method of the public services takes at least: the one table of it."""

from __future__ import annotations

from .callers import Role

OPEN = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")
"""Of everybody who may connect."""

LEAST = {
    "/tsched.v1.Tasks/Submit": Role.SUBMITTER,
    "/tsched.v1.Tasks/Run": Role.SUBMITTER,
    "/tsched.v1.Tasks/Get": Role.VIEWER,
    "/tsched.v1.Tasks/List": Role.VIEWER,
    "/tsched.v1.Tasks/Modify": Role.SUBMITTER,
    "/tsched.v1.Tasks/Delete": Role.SUBMITTER,
    "/tsched.v1.Tasks/Cancel": Role.SUBMITTER,
    "/tsched.v1.Tasks/Retry": Role.SUBMITTER,
    "/tsched.v1.Tasks/Hold": Role.SUBMITTER,
    "/tsched.v1.Tasks/Release": Role.SUBMITTER,
    "/tsched.v1.Tasks/Pause": Role.SUBMITTER,
    "/tsched.v1.Tasks/Resume": Role.SUBMITTER,
    "/tsched.v1.Tasks/Wait": Role.VIEWER,
    "/tsched.v1.Tasks/Logs": Role.VIEWER,
    "/tsched.v1.Tasks/Events": Role.VIEWER,
    "/tsched.v1.Tasks/Why": Role.VIEWER,
    "/tsched.v1.Tasks/Graph": Role.VIEWER,
    "/tsched.v1.Functions/List": Role.VIEWER,
    "/tsched.v1.Functions/Plugins": Role.VIEWER,
    "/tsched.v1.Functions/Load": Role.ADMIN,
    "/tsched.v1.Functions/Unload": Role.ADMIN,
    "/tsched.v1.Functions/Reload": Role.ADMIN,
    "/tsched.v1.Control/Status": Role.VIEWER,
    "/tsched.v1.Control/Doctor": Role.ADMIN,
    "/tsched.v1.Control/Shutdown": Role.ADMIN,
    "/tsched.v1.Control/Reload": Role.ADMIN,
    "/tsched.v1.Control/Audit": Role.ADMIN,
    "/tsched.v1.Control/KeyStatus": Role.ADMIN,
    "/tsched.v1.Control/RotateKey": Role.ADMIN,
    "/taskscheduler.TaskScheduler/SubmitTask": Role.SUBMITTER,
    "/taskscheduler.TaskScheduler/GetResult": Role.VIEWER,
}
MAKES_TASKS = frozenset(
    {
        "/tsched.v1.Tasks/Submit",
        "/tsched.v1.Tasks/Run",
        "/tsched.v1.Tasks/Retry",
        "/taskscheduler.TaskScheduler/SubmitTask",
    }
)
"""What a caller may do only so often."""


def is_open(method: str) -> bool:
    """Whether it asks nobody who they are."""
    return method.startswith(OPEN)


def least(method: str) -> Role:
    """The least role; what is not in the table is for nobody but an admin."""
    return LEAST.get(method, Role.ADMIN)
