"""Makes `python -m dnagpt_hf.cli` the same as `dnagpt`."""

from dnagpt_hf.cli.application import main

if __name__ == "__main__":
    main()
