"""Sees that records can be read: those of coordinators and control batches always, all others when asked."""

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.log.inspection.batches import FoundBatch
from pykbroker.log.inspection.decoding import DECODED_TOPICS, decode_control, decoder_of, told
from pykbroker.log.inspection.report import Report
from pykbroker.record.reader import iterate_records


class RecordCheck:
    """`is_deep`: every record is decompressed and read, whatever the topic."""

    def __init__(self, topic: str, report: Report, *, is_deep: bool) -> None:
        self._decode = decoder_of(DECODED_TOPICS.get(topic, ""))
        self._reads_all = is_deep or topic in DECODED_TOPICS
        self._report = report

    def take(self, path: str, batch: FoundBatch) -> None:
        is_control = batch.header is not None and batch.header.is_control
        if not (self._reads_all or is_control):
            return
        decode = decode_control if is_control else self._decode
        offset = batch.base_offset
        try:
            for record in iterate_records(batch.data()):
                offset = record.offset
                self._check_place(path, batch, offset)
                decode(record)
        except (KafkaError, MalformedFrame) as error:
            self._report.defect("record", path, told(error), position=batch.position, offset=offset)

    def _check_place(self, path: str, batch: FoundBatch, offset: int) -> None:
        if batch.header is not None and not batch.base_offset <= offset <= batch.last_offset:
            message = f"a record of offset {offset} in a batch of {batch.base_offset} to {batch.last_offset}"
            self._report.defect("record", path, message, position=batch.position, offset=offset)
