"""The wire format of `signals.topic`: one predicted price, and everything that led to it."""

import msgspec


class Signal(msgspec.Struct, gc=False):
    """A prediction for one record.

    Attributes:
        id: The record's own, else its source coordinates as `topic/partition/offset`.
        month: YYYY-MM, as in the record.
        predicted_price: In the currency of the training data.
        model_name: The registered model.
        model_version: Its version in the registry.
        announcement_offset: The offset of the plan in force, on the announcement topic.
        source_topic: Where the record stands, with its partition and offset.
    """

    id: str
    month: str | None
    predicted_price: float
    model_name: str
    model_version: str
    announcement_offset: int
    source_topic: str
    source_partition: int
    source_offset: int


encode_lines = msgspec.json.Encoder().encode_lines
decode = msgspec.json.Decoder(Signal).decode
