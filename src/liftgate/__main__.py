"""`python -m liftgate`: the command line where the `liftgate` script is not on the path."""

import sys

from liftgate.cli import main

sys.exit(main())
