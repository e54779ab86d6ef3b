"""`python -m eventbus`: the command line."""

from eventbus.frontends.cli import main

if __name__ == "__main__":
    main()
