"""What holds for every test."""

import os

from hypothesis import settings

# No clock decides a test: a slow machine is no error. In CI the examples are the same in every run, so that a red run
# can be made again; at a desk new ones are tried each time.
settings.register_profile("here", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("here")
