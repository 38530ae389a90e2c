"""What Hydra and OmegaConf say of a command line that can't be used, in one line of ours."""

from conf.errors import BadInput


def refusal(error: Exception) -> BadInput:
    """For an exception that Hydra or OmegaConf raised while the configuration was put together."""
    lines = [line.strip() for line in f"{error}\n{error.__cause__ or ''}".splitlines()]
    return BadInput("; ".join(line for line in lines if line))
