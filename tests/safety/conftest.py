"""How much of what could be tried is tried."""

import pytest


def pytest_generate_tests(metafunc):
    if "every" in metafunc.fixturenames:
        metafunc.parametrize("every", ["few", pytest.param("all", marks=pytest.mark.slow)], indirect=True)


@pytest.fixture
def every(request):
    """Numbers from 1 to n: all of them in the long run of the tests, else a few, the last among them."""
    if request.param == "all":
        return lambda n: range(1, n + 1)
    return lambda n: sorted({n, n - 1, n // 2, n // 3} - {0, -1})
