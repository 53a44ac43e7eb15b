"""
What is wrong with a FHIR R4 bundle, by two validators of others: google-fhir-r4, which holds it against R4 (4.0.1)
with its required codes and the types that references may have, and fhir.resources, against R4B (4.3.0), which says of
the resources that are used here what R4 says.

Each checks the other: fhir.resources takes any code. Invariants that are written in FHIRPath are checked by neither:
fhirpath.py does.
"""

from __future__ import annotations

import json
from typing import Any


def google_problems(bundle: dict[str, Any]) -> list[str]:
    from google.fhir.core.fhir_errors import InvalidFhirError
    from google.fhir.r4 import json_format
    from google.fhir.r4.proto.core.resources import bundle_and_contained_resource_pb2

    try:
        json_format.json_fhir_string_to_proto(
            json.dumps(bundle), bundle_and_contained_resource_pb2.Bundle, validate=True, default_timezone="UTC"
        )
    except (InvalidFhirError, ValueError) as error:
        return [f"google-fhir-r4: {error}"]
    return []


def pydantic_problems(bundle: dict[str, Any]) -> list[str]:
    from fhir.resources.R4B.bundle import Bundle
    from pydantic import ValidationError

    try:
        Bundle.model_validate(bundle)
    except ValidationError as error:
        return [f"fhir.resources: {each['loc']} {each['msg']}" for each in error.errors()]
    return []


def problems(bundle: dict[str, Any]) -> list[str]:
    return [*google_problems(bundle), *pydantic_problems(bundle)]
