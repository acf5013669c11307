"""`python -m tdseg`: the tdseg command."""

import sys

from tdseg.cli import main

sys.exit(main())
