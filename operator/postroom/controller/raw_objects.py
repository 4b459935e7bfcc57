# SPDX-License-Identifier: Apache-2.0
"""Objects as the API server holds them: reading what anything may stand in, and what is kept."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from postroom.api.resource import MAPPINGS, Kept, annotations_read
from postroom.api.status import DEFAULT_STATUS
from postroom.controller.text_pool import LONGEST, pooled, shared

#: An object as the API server holds it.
Raw = Mapping[str, Any]

_KEPT_METADATA = (
    "name",
    "namespace",
    "uid",
    "generation",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
)
_COMMON_METADATA = ("namespace", "creationTimestamp")

#: Under these names in what is kept of metadata: the field manager that wrote the spec, and by
#: annotation those that ask for something.
SPEC_BY, REQUESTED_BY = "specBy", "requestedBy"


def metadata_of(raw: Raw) -> Mapping[str, Any]:
    """Return an object's metadata; empty where it has none."""
    metadata = raw.get("metadata")
    return metadata if isinstance(metadata, MAPPINGS) else {}


def status_of(raw: Raw) -> Mapping[str, Any]:
    """Return the status of a raw object, empty where it has none."""
    status = raw.get("status")
    return status if isinstance(status, MAPPINGS) else {}


def slimmed(
    raw: Raw, earlier: Raw = MappingProxyType({}), writing: Mapping[str, Any] | None = None
) -> Raw:
    """Return the part of an object that is kept: no labels, of annotations what is read of them,
    and of managedFields who wrote the spec and these. So nobody has more kept than schemas bound.

    Equal texts are kept once: decoded JSON holds every field name and enum value anew per object,
    which is half of its size. So is what is the same as in `earlier`, with what was understood of
    it.
    """
    metadata, was = metadata_of(raw), metadata_of(earlier)
    kept = {
        name: value if (value := was.get(name)) == metadata[name] else metadata[name]
        for name in _KEPT_METADATA
        if name in metadata
    }
    # Many have these in common; name, uid and version are nobody else's.
    kept.update((name, pooled(kept[name])) for name in _COMMON_METADATA if name in kept)
    if asked := annotations_read(metadata.get("annotations")):
        kept["annotations"] = asked
    kept.update(_managers(metadata, kept.get("annotations", {})))
    spec, status = raw.get("spec"), raw.get("status") or {}
    if not isinstance(known := earlier.get("spec"), Kept) or known != spec:
        spec = pooled(spec)
        known = Kept(spec) if isinstance(spec, dict) else spec
    statuses = (_PENDING, earlier.get("status"))
    same = next((each for each in statuses if each == status), None)
    if same is None:
        status = shared(writing) if writing == status else pooled(status)
        same = Kept(status) if isinstance(status, dict) else status
    return {"metadata": Kept(kept), "spec": known, "status": same}


#: What stands in every object that nobody has looked at yet: kept, and understood, once.
_PENDING = Kept(DEFAULT_STATUS)


def _managers(
    metadata: Mapping[str, Any], annotations: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Who wrote the spec and the annotations, as far as managedFields tell: the last of several."""
    spec, asked = "", dict[str, str]()
    found = metadata.get("managedFields")
    entries = (
        [entry for entry in found if isinstance(entry, MAPPINGS)] if isinstance(found, list) else []
    )
    for entry in sorted(entries, key=lambda entry: str(entry.get("time") or "")):
        fields = entry.get("fieldsV1")
        manager = pooled(str(entry.get("manager") or "")[:LONGEST])
        if not isinstance(fields, Mapping) or entry.get("subresource") or not manager:
            continue
        if "f:spec" in fields:
            spec = manager
        written = fields.get("f:metadata")
        written = written.get("f:annotations") if isinstance(written, Mapping) else None
        if isinstance(written, Mapping):
            asked.update((name, manager) for name in annotations if f"f:{name}" in written)
    if spec:
        yield SPEC_BY, spec
    if asked:
        yield REQUESTED_BY, asked


def conditions_of(raw: Raw) -> list[Mapping[str, Any]]:
    """Return the stored conditions that have the shape of conditions."""
    found = status_of(raw).get("conditions")
    entries = found if isinstance(found, list) else []
    return [condition for condition in entries if isinstance(condition, MAPPINGS)]
