"""The whole stream, on one screen.

    treasury.data ──► decode ──► join ──────► predict ──► signals.topic
                         ╎         ▲             ╎    └──► treasury.data.dead-letters
                         ╎         │             ╎
                     rejections  plans in     one call per version,
                     travel on   force, as    all answers and the offsets
                     as data     of the poll  in one transaction
                                   ▲
    model.registry ──► feed ───────┘──► hot swap: fetch, verify, load, warm aside

A row is a micro-batch: the messages of one partition that one poll returned.
"""

from quixstreams import Application

from app.stream.decode import decoding
from app.stream.fence import Fence
from app.stream.join import joining
from app.stream.prediction_sink import PredictionSink
from app.topics.records import RecordDecoder


def build(
    app: Application, source: str, decoder: RecordDecoder, fence: Fence, sink: PredictionSink
) -> None:
    """Lay the stream from the topic `source` to the sink."""
    records = app.topic(
        source, key_deserializer="bytes", value_deserializer="bytes", value_serializer="bytes"
    )
    stream = app.dataframe(records)
    stream = stream.apply(decoding(decoder))
    stream = stream.apply(joining(fence))
    stream.sink(sink)
