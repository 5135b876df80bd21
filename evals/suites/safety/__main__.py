"""`python -m evals.suites.safety`: the adversary by hand."""

from evals.suites.safety.adversary import main

if __name__ == "__main__":
    raise SystemExit(main())
