"""Port mapping: PCP, NAT-PMP and UPnP, asked of the router in front of this machine.

``mapper`` decides and is pure; ``client`` has the sockets and runs in a helper process, because what it calls blocks without
end and breaks past descriptor 1023; ``keeper`` joins the two. ``portmapping`` is for applications.
"""
