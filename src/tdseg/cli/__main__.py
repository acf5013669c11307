"""`python -m tdseg.cli`: the tdseg command."""

import sys

from tdseg.cli import main

sys.exit(main())
