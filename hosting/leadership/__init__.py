"""Services of which one copy runs in the whole fleet.

A service marked SINGLETON runs in the process that holds the lease of its name: a row that the
holder renews, and that anybody may take once it is out of date. The database's clock is the only
judge of that. The holder counts for itself as well, from before it asked, and is done sooner: so
its service is told to end before another may begin.

    row renewed           holder stops           row out of date      somebody has looked
        |--- HELD_SHARE ------->|                       |                       |
        |--- DURATION_SHARE --------------------------->|                       |
        |                                               |--- LOOK_SHARE ------->|
        |--- LEASE_TIMEOUT, with time to spare ---------------------------------------------->|

timing      how LEASE_TIMEOUT is shared out
table       the rows of the leases
lease       a lease that this process holds
election    the service that gets and renews the leases of a process
singleton   a service that runs while its lease is held
"""
