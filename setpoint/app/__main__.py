"""`python -m setpoint.app`: the command line where its script is not on the path."""

from setpoint.app.cli import main

if __name__ == "__main__":
    main()
