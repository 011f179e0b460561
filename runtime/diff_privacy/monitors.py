"""Makes privacy monitors by name."""

from __future__ import annotations

from typing import Any

from mindveil.runtime.diff_privacy.errors import known
from mindveil.runtime.diff_privacy.monitor import RDPMonitor, ZCDPMonitor

__all__ = ["PrivacyMonitorFactory"]

MONITORS: dict[str, Any] = {"rdp": RDPMonitor, "zcdp": ZCDPMonitor}


class PrivacyMonitorFactory:
    """Makes privacy monitors; the method is called on the class or on an instance."""

    @staticmethod
    def create(policy: str, *args: Any, **kwargs: Any) -> RDPMonitor | ZCDPMonitor:
        """The monitor called ``rdp`` or ``zcdp``; the further arguments are those of the class.

        Raises:
            ValueError: there is no such monitor.
            TypeError: the monitor does not know a keyword.
        """
        monitor: RDPMonitor | ZCDPMonitor = MONITORS[known("policy", policy, MONITORS)](*args, **kwargs)
        return monitor
