"""Run the command line as `python -m lottery`."""

import sys

from lottery.cli.main import main

sys.exit(main())
