/* routes_page: the page for operators, what it shows, and the description of the API. */
#ifndef VERIFIER_ROUTES_PAGE_H
#define VERIFIER_ROUTES_PAGE_H

#include "verifier/http/handler.h"

route_handler route_page, route_overview, route_openapi;

#endif
