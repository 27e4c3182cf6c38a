"""How the time for stopping is shared between what a shift does at its end."""

from __future__ import annotations

from hosting.cancellation import CancellationToken

#: Share of the time for stopping that jobs get to finish in before they are told to end.
FINISH_SHARE = 0.8

#: Share of the time for stopping after which nothing is waited for.
WHOLE_SHARE = 0.95

#: Seconds that there are to end something if the time for stopping has no end, or is over.
MOMENT = 0.1


class StopOrder:
    """When a shift has to be over: `told` says when jobs are told to end, `over` when it is.

    Before that it may be told to claim no more (`claims_no_more`), and to take its time.
    """

    def __init__(self) -> None:
        self.claims_no_more = CancellationToken()
        self.told = CancellationToken()
        self.over = CancellationToken()
        self._deadline: CancellationToken | None = None

    def give(self, deadline: CancellationToken) -> None:
        """Order the shift to be over before the token is cancelled."""
        self._deadline = deadline
        deadline.register(self.told.cancel)
        deadline.register(self.over.cancel)
        if deadline.remaining is not None:
            self.told.cancel_after(deadline.remaining * FINISH_SHARE)
            self.over.cancel_after(deadline.remaining * WHOLE_SHARE)

    @property
    def moment(self) -> float:
        """Seconds that jobs have left to end in: half of what remains; the rest is to release."""
        remaining = self._deadline.remaining if self._deadline else None
        return MOMENT if remaining is None else remaining / 2

    def allows(self, seconds: float) -> bool:
        """Wait so long, to try something again; False if the time is over."""
        return self._deadline is not None and not self._deadline.wait(seconds)
