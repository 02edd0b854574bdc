"""The scheduled run: it collects, evaluates, tells and reports, for months, unattended. See README.md beside this file."""
