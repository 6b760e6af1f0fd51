"""Forms of a few parts, parsed in memory: a photo of a person never becomes a temporary file."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

from fastapi import Request, Response, UploadFile
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import AwaitableOrContextManagerWrapper

from urface.web.limits import Limits
from urface.web.refusal import Refusal, refusal_of


class InMemoryParser(MultiPartParser):
    """Starlette's, whose files stay in memory (BodyLimit has bounded them), and which wants a whole form."""

    spool_max_size = 1 << 40
    _ended = False

    def on_end(self) -> None:
        self._ended = True

    async def parse(self) -> FormData:
        form = await super().parse()
        if not self._ended:
            for file in self._files_to_close_on_error:
                file.close()
            raise MultiPartException("the form ends before its last boundary")
        return form


class FormRequest(Request):
    """A request whose form has at most the parts and bytes of the service's limits."""

    def form(self, **_: Any) -> AwaitableOrContextManagerWrapper[FormData]:
        return AwaitableOrContextManagerWrapper(self._limited_form())

    async def _limited_form(self) -> FormData:
        if self._form is None:
            kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "multipart/form-data":
                raise HTTPException(415, "send multipart/form-data, as curl -F does")
            limits: Limits = self.app.state.limits
            try:
                async with aclosing(self.stream()) as stream:
                    self._form = await InMemoryParser(
                        self.headers,
                        stream,
                        max_files=limits.parts,
                        max_fields=limits.parts,
                        max_part_size=limits.field_bytes,
                    ).parse()
            except MultiPartException as error:
                raise HTTPException(400, error.message) from None
            except (UnicodeError, ValueError):
                raise HTTPException(400, "the form cannot be read") from None
            if len(self._form.multi_items()) > limits.parts:
                await self._form.close()
                raise HTTPException(400, f"a form may have {limits.parts} parts")
        return self._form


class FormRoute(APIRoute):
    """A route whose requests are FormRequests, and whose errors are answers of one line."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def limited(request: Request) -> Response:
            try:
                return await handle(FormRequest(request.scope, request.receive))
            except RequestValidationError as error:
                refusal = Refusal(422, "bad_request", _words(error))
            except StarletteHTTPException as error:
                refusal = Refusal(error.status_code, "bad_request", str(error.detail))
            except Exception as error:
                refusal = refusal_of(error)
            headers = {name.decode(): value.decode() for name, value in refusal.headers()}
            return Response(refusal.body(), refusal.status, headers)

        return limited


def _words(error: RequestValidationError) -> str:
    """The first thing that is wrong: which field, and what of it; never what was sent."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return f"{where}: {first['msg']}"


async def bytes_of(upload: UploadFile) -> bytes:
    """All of an uploaded file, which is in memory already."""
    return await upload.read()
