"""`python -m epochd`: the command line, where the console script is not on the PATH."""

from epochd.commands import main

if __name__ == "__main__":
    main()
