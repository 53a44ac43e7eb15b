/* address: see address.h. Pure. Any thread. */
#include "address.h"

#include <arpa/inet.h>
#include <stdio.h>

void tr__address_text(const tr_address *address, char *out, size_t room)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (address->family) inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->ip, ip, sizeof ip);
    snprintf(out, room, "%s %u", ip, address->port);
}
