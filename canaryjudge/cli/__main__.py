"""``python -m canaryjudge.cli``: the command line without its script."""

import sys

from canaryjudge.cli import main

sys.exit(main())
