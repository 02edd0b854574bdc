"""`python -m qpanalytics` is `qpa`."""

from qpanalytics.cli.app import main

if __name__ == "__main__":
    main()
