-- A socket that a short-lived access token opened ends with it, not with the sign-in. Null for API keys, whose end is looked up.
alter table socket_tickets add column access_until timestamptz;
