"""The tests mirror the tree; what several files need stands in `tests/helpers`."""

import pytest

pytest.register_assert_rewrite("tests.helpers")  # before anything imports from there
