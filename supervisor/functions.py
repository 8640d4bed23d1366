"""What can be called, and the plugins that bring some of it: tsched.v1.Functions."""

from __future__ import annotations

from typing import Any

from ..proto import api_pb2, api_pb2_grpc
from ..proto.errors import Refusal, RefusalReason
from ..store import model
from .behalf import Behalf
from .catalogue import Catalogue
from .entries import Entry
from .held import FAILED, Held
from .refusals import answered
from .sources import library_trouble

Context = Any
SHOWN_AFTER_S = 10.0
"""What has not been looked at by then is shown so."""


class Functions(api_pb2_grpc.FunctionsServicer):
    """Serves tsched.v1.Functions; api.proto says what each method promises."""

    def __init__(self, catalogue: Catalogue, behalf: Behalf) -> None:
        self._catalogue = catalogue
        self._behalf = behalf

    @answered
    async def List(self, request: api_pb2.FunctionsRequest, context: Context) -> api_pb2.FunctionsResponse:  # noqa: N802
        """All functions, by name."""
        await self._catalogue.settle(limit_s=SHOWN_AFTER_S)
        return api_pb2.FunctionsResponse(functions=map(_function, self._catalogue.entries()))

    @answered
    async def Plugins(self, request: api_pb2.PluginsRequest, context: Context) -> api_pb2.PluginsResponse:  # noqa: N802
        """All sources, by name."""
        await self._catalogue.settle(limit_s=SHOWN_AFTER_S)
        return self._plugins()

    @answered
    async def Load(self, request: api_pb2.PluginRequest, context: Context) -> api_pb2.PluginsResponse:  # noqa: N802
        """Load a plugin."""
        await self._catalogue.load(_named(request))
        await self._behalf.note("load", request.name)
        return self._plugins()

    @answered
    async def Unload(self, request: api_pb2.PluginRequest, context: Context) -> api_pb2.PluginsResponse:  # noqa: N802
        """Unload a plugin."""
        await self._catalogue.unload(_named(request))
        await self._behalf.note("unload", request.name)
        return self._plugins()

    @answered
    async def Reload(self, request: api_pb2.PluginRequest, context: Context) -> api_pb2.PluginsResponse:  # noqa: N802
        """Read one source anew, or all."""
        await (self._catalogue.reload(request.name) if request.name else self._catalogue.reload_all())
        await self._behalf.note("reload_plugins", request.name or "all")
        return self._plugins()

    def _plugins(self) -> api_pb2.PluginsResponse:
        return api_pb2.PluginsResponse(plugins=[self._plugin(each) for each in self._catalogue.held()])

    def _plugin(self, held: Held) -> api_pb2.Plugin:
        return api_pb2.Plugin(
            name=held.origin.name,
            kind=held.origin.kind,
            path=held.origin.path,
            state=held.state,
            message=held.message,
            functions=self._catalogue.served_by(held),
            generation=held.generation,
            loaded_at_us=held.loaded_at_us,
        )


def _named(request: api_pb2.PluginRequest) -> str:
    if not request.name:
        raise Refusal(RefusalReason.NO_SUCH_PLUGIN, "no plugin is named", "say which: tsched plugins list")
    return request.name


def _function(entry: Entry) -> api_pb2.Function:
    return api_pb2.Function(
        name=entry.name,
        alias=entry.alias,
        is_async=entry.is_async,
        signature=entry.signature,
        doc=entry.doc,
        source=entry.source,
        queue=entry.queue,
        priority=entry.priority,
        timeout_us=entry.timeout_us,
        retries=entry.retries,
        retry_delay_us=entry.retry_delay_us,
        profile=entry.profile,
        native=entry.native,
    )


async def findings(catalogue: Catalogue) -> list[model.Finding]:
    """What is wrong with sources, for the doctor: what others could change is a problem of this machine."""
    await catalogue.settle(limit_s=SHOWN_AFTER_S)
    found = [_finding(each) for each in catalogue.held() if each.message]
    for each in await catalogue.untrusted():
        what = f"{each.origin.kind} {each.origin.path} was loaded, and by now {each.wrong}"
        found.append(_found("problem", each.origin.name, what))
    if trouble := library_trouble(catalogue.library):
        hint = "make the folder, or choose another: [library] folder, tsched up --library-dir"
        found.append(model.Finding(severity="notice", object="library folder", message=trouble, hint=hint))
    return found


def _finding(held: Held) -> model.Finding:
    what = "is not loaded" if held.state == FAILED else "is loaded"
    message = f"{held.origin.kind} {held.origin.path} {what}: {held.message}".replace("  ", " ")
    return _found("problem" if held.unsafe else "notice", held.origin.name, message)


def _found(severity: str, name: str, message: str) -> model.Finding:
    hint = "mend it, then: tsched plugins reload"
    return model.Finding(severity=severity, object=f"functions of {name}", message=message, hint=hint)
