from pykbroker.controller.result import MAX_RECORDS_PER_USER_OP, ControllerResult


def test_a_result_is_records_and_answer():
    records, response = ControllerResult([], "answer")
    assert (records, response) == ([], "answer")


def test_the_limit_is_kafkas():
    assert MAX_RECORDS_PER_USER_OP == 10_000
