# SPDX-License-Identifier: Apache-2.0
"""What a published function takes and gives, read from its type hints.

A target is ``path/to/file.py:function`` or ``package.module:function``. The request body is one JSON object
that holds the function's arguments by name; the answer is the function's return value. Both have a JSON
Schema (draft 2020-12, written by pydantic).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import typing
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError

from koinon.errors import BadInput
from koinon.services.gateway.metering import MOST_UNITS, Measured, Metered
from koinon.services.selling.signature import InvalidInput, Signature

_EXAMPLE = "Write it like: def score(income: float, age: int) -> float: ..."
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Function:
    """A loaded function together with its validators.

    Parameters
    ----------
    function : callable
        A plain function whose parameters and return value are all annotated.

    Raises
    ------
    BadInput
        ``service.hints_missing``, ``service.type_unsupported`` or ``service.not_a_function``.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.name = getattr(function, "__name__", "function")
        self._inputs = _input_model(function, self.name)
        self._outputs = _output_adapter(function, self.name)
        self.signature = Signature(
            name=self.name,
            description=inspect.getdoc(function) or "",
            input_schema=_schema_of(self.name, self._inputs.model_json_schema),
            output_schema=_schema_of(self.name, self._outputs.json_schema),
            streams=inspect.isgeneratorfunction(function),
        )

    def call(self, body: bytes) -> bytes:
        """Validate a JSON body, run the function, return its result as JSON.

        Raises InvalidInput when the body does not fit; whatever the function itself raises passes through;
        BadInput ``service.output_schema`` when the result does not fit the return hint.
        """
        return self.measure(body).body

    def measure(self, body: bytes) -> Measured:
        """As `call`, with the units that the function reports."""
        return self._measured(self._function(**self._arguments(body)))

    def stream(self, body: bytes) -> Generator[Measured, None, None]:
        """The parts of a generator function, each with its units; errors as in `call`."""
        arguments = self._arguments(body)
        return self._parts(self._function(**arguments))

    def _parts(self, produced: Generator[Any, None, None]) -> Generator[Measured, None, None]:
        try:
            for part in produced:
                yield self._measured(part)
        finally:
            produced.close()

    def _arguments(self, body: bytes) -> dict[str, Any]:
        try:
            return self._inputs.model_validate_json(body).__dict__
        except ValidationError as error:
            raise InvalidInput(_problems(error)) from None

    def _measured(self, result: Any) -> Measured:
        units = None
        if isinstance(result, Metered):
            result, units = result.value, result.units
            if isinstance(units, bool) or not isinstance(units, int) or not 0 <= units <= MOST_UNITS:
                raise BadInput(
                    f"{self.name} reported {str(units)[:40]} units.",
                    hint="Report a whole number from 0 to 10^9.",
                    code="service.output_schema",
                )
        try:
            return Measured(self._outputs.dump_json(self._outputs.validate_python(result)), units)
        except ValidationError as error:
            reason = _problems(error)[0]["reason"]
            raise BadInput(
                f"{self.name} returned a value that does not fit its return hint: {reason}.",
                hint="Correct the function's return annotation or its result.",
                code="service.output_schema",
            ) from None


def load(target: str) -> Function:
    """Load ``path.py:function`` or ``module:function``.

    Raises BadInput with codes ``service.target``, ``service.file_missing``, ``service.import_failed``,
    ``service.function_missing`` and those of `Function`.
    """
    place, separator, name = target.rpartition(":")
    if not separator or not place or not name.isidentifier():
        raise BadInput(
            f"'{target}' does not name a function.",
            hint="Write it as path/to/file.py:function or package.module:function.",
            code="service.target",
        )
    module = _module_from_file(Path(place)) if place.endswith(".py") else _module_by_name(place)
    function = getattr(module, name, None)
    if function is None:
        offered = sorted(key for key, value in vars(module).items() if _is_own_function(value, module))
        raise BadInput(
            f"{place} has no function '{name}'.",
            hint=f"It offers: {', '.join(offered)}." if offered else "It defines no functions.",
            code="service.function_missing",
        )
    return Function(function)


def absolute(target: str, base: Path) -> str:
    """The target with its file path made absolute, so that another process finds it."""
    place, separator, name = target.rpartition(":")
    if separator and place.endswith(".py"):
        return f"{(base / place).resolve()}:{name}"
    return target


def _is_own_function(value: object, module: ModuleType) -> bool:
    return (
        inspect.isfunction(value)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    )


def _module_from_file(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise BadInput(f"There is no file {path}.", hint="Check the path.", code="service.file_missing")
    name = f"koinon_service_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadInput(
            f"{path} is not a Python file.", hint="Its name must end in .py.", code="service.target"
        )
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as `python path.py` would: the file may import its neighbours
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise BadInput(
            f"{path.name} cannot be imported: {type(error).__name__}: {error}",
            hint=f"Run `python {path}` and correct what it reports.",
            code="service.import_failed",
        ) from error
    return module


def _module_by_name(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise BadInput(
            f"The module {name} cannot be imported: {type(error).__name__}: {error}",
            hint="Install it in this environment, or give the path of a .py file.",
            code="service.import_failed",
        ) from error


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise BadInput(
            f"A type hint of {name} cannot be resolved: {error}",
            hint="Import every type that the hints name.",
            code="service.type_unsupported",
        ) from error


def _input_model(function: Callable[..., Any], name: str) -> type[BaseModel]:
    if inspect.iscoroutinefunction(function) or not inspect.isfunction(function):
        raise BadInput(f"{name} is not a plain function.", hint=_EXAMPLE, code="service.not_a_function")
    hints = _hints(function, name)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in _NAMED:
            raise BadInput(
                f"{name} takes '{parameter}', which a JSON object cannot carry by name.",
                hint="Give every parameter a name of its own.",
                code="service.type_unsupported",
            )
        if parameter.name not in hints:
            raise BadInput(
                f"The parameter '{parameter.name}' of {name} has no type hint.",
                hint=_EXAMPLE,
                code="service.hints_missing",
            )
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    try:
        return create_model(
            f"{name}_input", __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **fields
        )
    except (PydanticUserError, TypeError, NameError) as error:
        raise _unsupported(name, error) from error


def _output_adapter(function: Callable[..., Any], name: str) -> TypeAdapter[Any]:
    hints = _hints(function, name)
    if "return" not in hints:
        raise BadInput(f"{name} does not say what it returns.", hint=_EXAMPLE, code="service.hints_missing")
    returned = hints["return"]
    if inspect.isgeneratorfunction(function):
        returned = _part(returned, name)
    if typing.get_origin(returned) is Metered:
        returned = typing.get_args(returned)[0]
    try:
        try:
            return TypeAdapter(returned, config=ConfigDict(allow_inf_nan=False))
        except PydanticUserError:  # a model or dataclass brings a configuration of its own
            return TypeAdapter(returned)
    except (PydanticUserError, TypeError) as error:
        raise _unsupported(name, error) from error


def _part(returned: Any, name: str) -> Any:
    """What a generator yields."""
    arguments = typing.get_args(returned)
    if typing.get_origin(returned) not in (Iterator, Iterable, Generator) or not arguments:
        raise BadInput(
            f"The generator {name} does not say what it yields.",
            hint="Write it like: def tell(prompt: str) -> Iterator[str]: ...",
            code="service.hints_missing",
        )
    return arguments[0]


def _schema_of(name: str, write: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return write()
    except PydanticUserError as error:
        raise _unsupported(name, error) from error


def _unsupported(name: str, error: Exception) -> BadInput:
    return BadInput(
        f"A type in the signature of {name} has no JSON form: {str(error).splitlines()[0]}",
        hint="Use numbers, text, booleans, lists, dicts, dataclasses, TypedDicts or pydantic models.",
        code="service.type_unsupported",
    )


def _problems(error: ValidationError) -> list[dict[str, str]]:
    return [
        {"at": ".".join(str(part) for part in item["loc"]), "reason": item["msg"]}
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ][:20]
