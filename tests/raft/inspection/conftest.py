"""The golden directories, as tests/log/inspection has them."""

from tests.log.inspection.conftest import clean, torn, unpacked

__all__ = ["clean", "torn", "unpacked"]
