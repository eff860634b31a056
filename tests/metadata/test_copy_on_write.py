from pykbroker.metadata.copy_on_write import CopyOnWrite


def test_nothing_is_copied_before_the_first_change():
    base = {"a": 1}
    copied = CopyOnWrite(base)
    assert copied.read() is base
    assert copied.freeze() is base


def test_a_change_is_not_seen_by_the_base():
    base = {"a": 1}
    copied = CopyOnWrite(base)
    copied.write()["b"] = 2
    assert base == {"a": 1}
    assert copied.read() == {"a": 1, "b": 2}


def test_what_is_frozen_stays():
    copied = CopyOnWrite({"a": 1})
    copied.write()["a"] = 2
    frozen = copied.freeze()
    copied.write()["a"] = 3
    assert frozen == {"a": 2}
    copied.restore(frozen)
    assert copied.read() is frozen
    copied.write()["a"] = 4
    assert frozen == {"a": 2}
