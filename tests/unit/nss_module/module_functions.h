#pragma once

#include <netdb.h>
#include <nss.h>

#include <cstdint>

// What glibc looks up in libnss_mutua.so.2 by name.
extern "C" {
nss_status _nss_mutua_gethostbyname4_r(const char* name, gaih_addrtuple** tuples, char* buffer,
                                       std::size_t size, int* errnop, int* h_errnop,
                                       std::int32_t* ttl);
nss_status _nss_mutua_gethostbyname3_r(const char* name, int family, hostent* result, char* buffer,
                                       std::size_t size, int* errnop, int* h_errnop,
                                       std::int32_t* ttl, char** canonical);
nss_status _nss_mutua_gethostbyname2_r(const char* name, int family, hostent* result, char* buffer,
                                       std::size_t size, int* errnop, int* h_errnop);
nss_status _nss_mutua_gethostbyname_r(const char* name, hostent* result, char* buffer,
                                      std::size_t size, int* errnop, int* h_errnop);
nss_status _nss_mutua_gethostbyaddr2_r(const void* address, socklen_t length, int family,
                                       hostent* result, char* buffer, std::size_t size, int* errnop,
                                       int* h_errnop, std::int32_t* ttl);
nss_status _nss_mutua_gethostbyaddr_r(const void* address, socklen_t length, int family,
                                      hostent* result, char* buffer, std::size_t size, int* errnop,
                                      int* h_errnop);
}
