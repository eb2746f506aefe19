"""What an Application publishes for others, as it is written."""

from __future__ import annotations

import pydantic

from undrift.config import fields, part


class OutputPart(part.Part):
    """A value that others may use: a live field of a resource of this application, or a fact of its target."""

    resource: fields.Word | None = part.said(
        "The resource, as Kind/name or Kind/namespace/name: Service/web.", default=None
    )
    field: fields.Word | None = part.said(
        "The field of the resource as it is on the target, dotted or as a JSON pointer: status.loadBalancer.ingress.0.ip.",
        default=None,
    )
    fact: fields.Word | None = part.said(
        "Instead of a resource: the fact of the target, such as hostname.", default=None
    )
    secret: fields.Flag = part.said("Never shown, and only used where secrets are kept.", default=False)

    @pydantic.model_validator(mode="after")
    def _whole(self) -> OutputPart:
        part.exactly_one(self, "resource", "fact")
        if (self.resource is None) is not (self.field is None):
            raise fields.refuse(
                "field", "a resource needs a field, and a fact has none", "write resource and field, or fact"
            )
        return self
