"""The OpenAPI description: what is the same for every operation."""

from typing import Any

ERRORS = {
    "400": "What was sent is wrong; `fields` says where.",
    "401": "Nobody is signed in, or the token or key is not valid.",
    "403": "The role does not allow this.",
    "404": "There is nothing here, or it is in an environment that is not granted.",
    "405": "The address has no such method.",
    "406": "No such format.",
    "409": "It does not fit the state of things.",
    "413": "The request is too large.",
    "415": "The body is of a type that is not read.",
    "429": "Too many requests, or too many wrong passwords.",
    "503": "A part of the service is away for the moment.",
}
ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "string", "description": "for programs"},
                "message": {"type": "string", "description": "for people"},
                "fields": {
                    "type": "object",
                    "description": "what is wrong, by field",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                },
            },
        }
    },
}
# what rows look like as a file is not what they look like in JSON
FILES = {
    "text/csv": {"type": "string", "description": "A line of names, then a line for each of `results`."},
    "application/x-ndjson": {"type": "string", "description": "A JSON object a line for each of `results`."},
    "application/vnd.apache.arrow.stream": {"type": "string", "format": "binary"},
}


def files_describe(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Describe answers that are files as such."""
    for operations in result["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                for kind in FILES.keys() & response.get("content", {}).keys():
                    response["content"][kind] = {"schema": FILES[kind]}
    return result


def errors_add(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Describe the errors that every operation can give."""
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = ERROR
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for operations in result["paths"].values():
        for operation in operations.values():
            for code, text in ERRORS.items():
                operation["responses"].setdefault(code, {"description": text, "content": content})
    return result
