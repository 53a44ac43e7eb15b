"""
The invariants of FHIR R4 (4.0.1) that a bundle breaks: those of each resource and data type in it, as the standard's
own definitions have them, evaluated by the FHIRPath of google-fhir-r4.

That evaluates a part of FHIRPath: what it cannot is named in `NOT_EVALUATED`, and an invariant that is neither there
nor understood is a problem, so none is left out silently. (fhirpathpy knows more of FHIRPath, and needs a later antlr
than google-fhir-r4 takes.) Needs seconds for the first bundle.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

NOT_EVALUATED = {
    "ele-1": "children()",
    "ref-1": "startsWith()",
    "drt-1": "%ucum",
    "dom-2": "the type of `contained`",
    "dom-3": "descendants()",
    "bdl-3": "%resource",
    "bdl-4": "%resource",
    "bdl-7": "isDistinct()",
    "bdl-8": "contains()",
    "bdl-11": "is()",
    "bdl-12": "is()",
}
"""By its key what it needs. bdl-3, -4, -11 and -12 are of other kinds of bundles than a collection."""

_URL = "http://hl7.org/fhir/StructureDefinition/"
_ERROR = 1  # ConstraintSeverityCode: the others are warnings


class _Definitions:
    """The standard's, out of the package that google-fhir-r4 comes with, each read when it is asked for."""

    def __init__(self) -> None:
        import google.fhir.r4 as package

        self._tar = tarfile.open(Path(package.__path__[0]) / "data" / "hl7.fhir.r4.core.tgz")  # noqa: SIM115
        self._known: dict[str, Any] = {}

    def get(self, url: str) -> Any:
        from google.fhir.r4 import json_format
        from google.fhir.r4.proto.core.resources import structure_definition_pb2

        name = url.rpartition("/")[2]
        if name not in self._known:
            file = self._tar.extractfile(f"package/StructureDefinition-{name}.json")
            assert file is not None, url
            self._known[name] = json_format.json_fhir_string_to_proto(
                file.read().decode(), structure_definition_pb2.StructureDefinition, validate=False
            )
        return self._known[name]


@cache
def _context() -> Any:
    from google.fhir.core.fhir_path.context import FhirPathContext

    class Context(FhirPathContext):  # type: ignore[misc,type-arg,unused-ignore]
        def __init__(self) -> None:
            self.definitions = _Definitions()

        def get_structure_definition(self, url: str) -> Any:
            return self.definitions.get(url if "/" in url else _URL + url)

        def get_value_set(self, value_set_url: str) -> None:
            return None

    return Context()


@cache
def _invariants(url: str) -> tuple[tuple[str, Any], ...]:
    """Of one resource or data type: each key, and what it compiles to; or None where it does not."""
    from google.fhir.r4 import fhir_path

    context = _context()
    found: list[tuple[str, Any]] = []
    for element in context.get_structure_definition(url).snapshot.element:
        _, _, inside = element.path.value.partition(".")
        for each in element.constraint:
            key, said = each.key.value, each.expression.value
            is_of_a_type = bool(inside) and key in ("ele-1", "ext-1")  # repeated there; looked at where it is defined
            if each.severity.value != _ERROR or key in NOT_EVALUATED or is_of_a_type:
                continue
            try:
                compiled = fhir_path.compile_expression(url, context, f"{inside}.all({said})" if inside else said)
            except (ValueError, NotImplementedError):
                compiled = None
            found.append((key, compiled))
    return tuple(found)


def _parts(message: Any) -> Iterator[tuple[str, Any]]:
    """Each resource and data type in it with its definition, itself first."""
    from google.fhir.core.utils import annotation_utils

    url = annotation_utils.get_structure_definition_url(message.DESCRIPTOR)
    if url and annotation_utils.is_primitive_type(message.DESCRIPTOR):
        return
    if url:
        yield url, message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if field.label == field.LABEL_REPEATED else (value,):
                yield from _parts(each)


def invariant_problems(bundle: dict[str, Any]) -> list[str]:
    """A sentence for each invariant that does not hold, or that nobody could say of."""
    from google.fhir.r4 import json_format
    from google.fhir.r4.proto.core.resources import bundle_and_contained_resource_pb2

    whole = json_format.json_fhir_string_to_proto(
        json.dumps(bundle), bundle_and_contained_resource_pb2.Bundle, validate=False, default_timezone="UTC"
    )
    found = []
    for url, message in _parts(whole):
        for key, compiled in _invariants(url):
            if compiled is None:
                found.append(f"{key} of {url}: not understood")
                continue
            result = compiled.evaluate(message)
            if result.has_value() and not result.as_bool():
                found.append(f"{key} of {url} does not hold")
    return found
