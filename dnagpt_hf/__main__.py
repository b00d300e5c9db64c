"""Makes `python -m dnagpt_hf` the same as `dnagpt`."""

from dnagpt_hf.cli import main

if __name__ == "__main__":
    main()
