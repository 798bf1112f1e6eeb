#pragma once

// One zone, signed by two of Debian 12's tools, so that they and we read the standards alike; good from
// 2026 to 2036. It was made by
//   ldns-keygen -a ECDSAP256SHA256 -k fed.example
//   ldns-signzone -b -i 20260101000000 -e 20360101000000 -z sha384 plain <key>
// and by
//   dnssec-keygen -a ED25519 [-f KSK] fed.example
//   dnssec-signzone -S -O full -x -s 20260101000000 -e 20360101000000 -o fed.example plain
// with their comments taken out.

namespace mutua {

struct ForeignZone {
  const char* signer;
  const char* trust_anchor;
  const char* records;  // one a line
};

inline constexpr ForeignZone kForeignZones[] = {
    {"ldns-signzone, ECDSA P-256",
     "fed.example. 3600 IN DS 47253 13 2 "
     "a2d3798569d96dd4964cf5f19a8d1e0ae5f64a1e821112bb7173762f66b6e034",
     R"(fed.example. 300 IN SOA ns.fed.example. host.fed.example. 7 3600 600 86400 60
fed.example. 300 IN RRSIG SOA 13 2 300 20360101000000 20260101000000 47253 fed.example. ma/+y7lXEPERkHKK+v284D2XcfRrHZ5uV6sl12vg41SqHUlkwl82g9EN4xrY7UvGcQADMJMRAZUfoIE6y2WUAw==
fed.example. 300 IN NS ns.fed.example.
fed.example. 300 IN RRSIG NS 13 2 300 20360101000000 20260101000000 47253 fed.example. bXaOLqJ1jzUWtTqh9KBQfLeiRecGQXFOjzvEFG4OwWzDEoygXTVgn/t8ueqEKowKtJfKDIkb9atFsIXk6Pe8xw==
fed.example. 300 IN DNSKEY 257 3 13 zVfrF8nPBftQwTNiqbutZ16kTz/AD2044r3/aOBtWlBgvh9z5+fw1SfUg6/iVLGPef+usLIQEmTk0xMB+GnjOQ==
fed.example. 300 IN RRSIG DNSKEY 13 2 300 20360101000000 20260101000000 47253 fed.example. gQTMJF5W+d0lQvUoMkFT3vqIQ3DmMLvKyQpvOT5KD0vwc7osNgsf9a5aAYt5/GE9SEv+ZeSxW+jVoBo2LV8hIw==
fed.example. 300 IN ZONEMD 7 1 1 a0a20cb9f981b09ca8de79dd917a3821173545e2d6abf784c74f679d7b7d7d3d283b4a374c27c4ffdd083ac4c609046b
fed.example. 300 IN RRSIG ZONEMD 13 2 300 20360101000000 20260101000000 47253 fed.example. Y8MWyUvBdtOXyk5SWj2lIEwSyDb/LP8JBXMlNYnZa+X8/4DZmnVXIEEkvVo+LgO5JZ0MjbpfH2AoV6vB1KVvwA==
fed.example. 60 IN NSEC away.fed.example. NS SOA RRSIG NSEC DNSKEY ZONEMD
fed.example. 60 IN RRSIG NSEC 13 2 60 20360101000000 20260101000000 47253 fed.example. gLkpHLvRFq4vGsxVCQSlKy+yxNly7K2jiq5tqZiRp1UC2MumO4sXDMIy+cG36SpBmGeqJFZJgiZUomy1dz+QjA==
away.fed.example. 300 IN CNAME www.example.org.
away.fed.example. 300 IN RRSIG CNAME 13 3 300 20360101000000 20260101000000 47253 fed.example. JkBJ1lGtAjOqSRQQpMPID02kYWl/OcxuDYcJ4BySN1p1kHTdbyMiGQWPgXjxhg06l0eu6Qu2YFkpf7c0CL5IrQ==
away.fed.example. 60 IN NSEC blog.fed.example. CNAME RRSIG NSEC
away.fed.example. 60 IN RRSIG NSEC 13 3 60 20360101000000 20260101000000 47253 fed.example. NHM5M6bhReSvHE2NyT3RR8t9OnO2fWy/DKNoQifc2L5XnB4X2jG0ZAEVhwqOY6kQZrQqc17SgODbaWDZvfL+RA==
blog.fed.example. 300 IN TXT "v=1" "ports=80/tcp"
blog.fed.example. 300 IN RRSIG TXT 13 3 300 20360101000000 20260101000000 47253 fed.example. YyKe2WqIT6mT0+X7exVEhcQ7cUFaE3bpT160RvpqHZwTl2FtKP9WxqEiw3u8p7KWCPIVU/p3BIT91AaJLo3edw==
Blog.fed.example. 300 IN KEY 512 3 15 PhyATEUIn0+1MsRUGbGKvVGrkWSMFJSXSOe8ayHA32c=
blog.fed.example. 300 IN RRSIG KEY 13 3 300 20360101000000 20260101000000 47253 fed.example. lId6Hl1QjB0oNr841nQrXWwD3k0YFADMjcSgaoA50+HotBFwgWeXc8NnxZlT37TNJKNxlLEar6akwPKTYeW8Ig==
blog.fed.example. 60 IN NSEC _80._tcp.blog.fed.example. TXT KEY RRSIG NSEC
blog.fed.example. 60 IN RRSIG NSEC 13 3 60 20360101000000 20260101000000 47253 fed.example. 1rNb3M+LIzQ4eG8gHNDJtprGpFrNH/U4dWDV+PmgT1WRGcwPW1TVPYTFyZRYPt23AuTLXklVDYB3G8oGxIbITQ==
_80._tcp.blog.fed.example. 300 IN SRV 0 0 8080 a.peers.fed.example.
_80._tcp.blog.fed.example. 300 IN RRSIG SRV 13 5 300 20360101000000 20260101000000 47253 fed.example. /jDa6VbZuJ9eiOrnQxITp3Kjh6qqTaIHr3BCi0PVzzptQ+GUaJ1jKzYR3oa4Vi5ppPpWPJgH7RSxa0a4X4ZJow==
_80._tcp.blog.fed.example. 60 IN NSEC x.new.fed.example. SRV RRSIG NSEC
_80._tcp.blog.fed.example. 60 IN RRSIG NSEC 13 5 60 20360101000000 20260101000000 47253 fed.example. ro3uL8ETdlEKnwN8szIAhPsY+uWfpe4ziqFewuf4RfC2DB9cYEu2EDZ1Wv/iDwYkjudC9XS1OwUcYAHwBjZQ0w==
x.new.fed.example. 300 IN A 192.0.2.7
x.new.fed.example. 300 IN RRSIG A 13 4 300 20360101000000 20260101000000 47253 fed.example. /pcC0pkoZ6G/+QUYE/FH8Nnrc1leCM/F++L/Ym7BVEf7oVLTgFKhIzQf1JAgXpIhZpBMxRrTnRziCB2KFfPjGw==
x.new.fed.example. 60 IN NSEC deep.under.nothing.fed.example. A RRSIG NSEC
x.new.fed.example. 60 IN RRSIG NSEC 13 4 60 20360101000000 20260101000000 47253 fed.example. cpwlk6AOQYlAZewK7ky3fCdVxlWmbpwxzGshal1/AEpDy3B/57P5CLefZos5YLvBBcbRz1SldCtKzrbxLekgwg==
deep.under.nothing.fed.example. 300 IN A 192.0.2.9
deep.under.nothing.fed.example. 300 IN RRSIG A 13 5 300 20360101000000 20260101000000 47253 fed.example. zh+rtuR2hf/EFnGw2x//iPc/eFtSq7rBInkWRObs1GMJNXS8wZrKXrZFwbTVvdiifjtL4cNfO4ArigdExtQS+w==
deep.under.nothing.fed.example. 60 IN NSEC ns.fed.example. A RRSIG NSEC
deep.under.nothing.fed.example. 60 IN RRSIG NSEC 13 5 60 20360101000000 20260101000000 47253 fed.example. Yts9ctbNAhlYdli/n1N0bDphnJbSb2x6WoJkoySwl+MOZcwEmMUbeKLtZnJujTRejdnIRUyQsSl6ZIoDNLeRGA==
ns.fed.example. 300 IN A 192.0.2.53
ns.fed.example. 300 IN RRSIG A 13 3 300 20360101000000 20260101000000 47253 fed.example. Frrdjy0kgQDFfQEKNg4DfIwaU07zb7PIVoTxaYMIkqawp7r/KeHoQHNBBIrVJIWX72zF/OXwStUpFi1BGT78tA==
ns.fed.example. 60 IN NSEC old.fed.example. A RRSIG NSEC
ns.fed.example. 60 IN RRSIG NSEC 13 3 60 20360101000000 20260101000000 47253 fed.example. sh9+Dgme/h66yTaZyjUD4LxaazfK0qI4eVRW2eyGaGpBi0BnLJimesB8DLdwcrhJCnqiFl29XWJvqRiQwhEwGg==
old.fed.example. 300 IN DNAME new.fed.example.
old.fed.example. 300 IN RRSIG DNAME 13 3 300 20360101000000 20260101000000 47253 fed.example. cHTLDjtS+0qmtgri96DyPYjzJvV87xferoZTp8PMW6lYO05n4KHVlTz3Kpaq9/CD8mEPw9wJc8g3VKLSw+fr6A==
old.fed.example. 60 IN NSEC a.peers.fed.example. DNAME RRSIG NSEC
old.fed.example. 60 IN RRSIG NSEC 13 3 60 20360101000000 20260101000000 47253 fed.example. hrxy5s0KHMp7g5tVRfUuY9A6gHo9elRJ5Eb3HUCAD4XI6Aq4gO8TTTDbRUNyDpbpHmXmx7+UDSgfOH7HezvlBg==
a.peers.fed.example. 300 IN A 192.0.2.11
a.peers.fed.example. 300 IN RRSIG A 13 4 300 20360101000000 20260101000000 47253 fed.example. H0kM3ueagmVOQk27Z95RipYdmHoAmRnqmzwhFvuRgVDofNRXQO0940qo8pD0UG66U6HK85xiB0V40qcVF9vRDQ==
a.peers.fed.example. 300 IN AAAA 2001:db8::11
a.peers.fed.example. 300 IN RRSIG AAAA 13 4 300 20360101000000 20260101000000 47253 fed.example. j56Y8FH/yq0jpW7sNUu3DVChCw+2NXySkc51uS9YMeaIcU1yy5U+o4Xzkv4EQpvMnHHWdh65IjaI3uqAHwdGWQ==
a.peers.fed.example. 60 IN NSEC secure.fed.example. A AAAA RRSIG NSEC
a.peers.fed.example. 60 IN RRSIG NSEC 13 4 60 20360101000000 20260101000000 47253 fed.example. vnjtuawzNHlK26ROPEmItHpIQfZ11GMyQQpC3tpmI2Gi42DmseHcAxAquwXP1mxxcTVPg0GkH9xk63/qat5RRQ==
secure.fed.example. 300 IN NS ns.secure.fed.example.
secure.fed.example. 300 IN DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
secure.fed.example. 300 IN RRSIG DS 13 3 300 20360101000000 20260101000000 47253 fed.example. LJaMI8muaFs3VR32bjGFrXcjVtaKE2LNoyMlpWQKGOnFCzh2ywbRn8IR4qCAPx4Pw+XrNFw7W2/ojBJIEOyUgg==
secure.fed.example. 60 IN NSEC sub.fed.example. NS DS RRSIG NSEC
secure.fed.example. 60 IN RRSIG NSEC 13 3 60 20360101000000 20260101000000 47253 fed.example. izn5XESFesnT/nWH3zrgvGY+gF+HdWUztlTDkKJDFk1Nn3CJigepygC0KCD3foYiukwpyPThIgIKKZ5kiwaaSQ==
ns.secure.fed.example. 300 IN A 192.0.2.55
sub.fed.example. 300 IN NS ns.sub.fed.example.
sub.fed.example. 60 IN NSEC *.wild.fed.example. NS RRSIG NSEC
sub.fed.example. 60 IN RRSIG NSEC 13 3 60 20360101000000 20260101000000 47253 fed.example. afSqQ6Wa6xjO3gelvd16dGB8AnoZ4L9A0SCG2bGsChzFgP4yv01498Ra8jEeb/seMU4/4Zxvd8qkD5ltTQwjPg==
ns.sub.fed.example. 300 IN A 192.0.2.54
*.wild.fed.example. 300 IN TXT "whoever"
*.wild.fed.example. 300 IN RRSIG TXT 13 3 300 20360101000000 20260101000000 47253 fed.example. xyOmR7W8/uf5OTq2ctdc+Xy/n2cG59eKSAsui0dU3AIxCxx9gsYachrwQTPWHVWBtrUdFjeMAbw3qbapD4mfzQ==
*.wild.fed.example. 60 IN NSEC apart.wild.fed.example. TXT RRSIG NSEC
*.wild.fed.example. 60 IN RRSIG NSEC 13 3 60 20360101000000 20260101000000 47253 fed.example. vIjF0y/6pLP9hLD9ICS/3YMIvPtMCD+oScjeIa8hlq0VvviRuVw4Bg9ZlxNAVSbFUrhQyHIz7AgaZNfaYHVOpw==
apart.wild.fed.example. 300 IN A 192.0.2.8
apart.wild.fed.example. 300 IN RRSIG A 13 4 300 20360101000000 20260101000000 47253 fed.example. hD/k9BD25DQTjUXlfd2gxmDD3VXKAZw2TGdeCMXdsPzLz/0wsREL7gCmL1XtC5HDCxAoAkEHRJIziDnq/Ze1vQ==
apart.wild.fed.example. 60 IN NSEC www.fed.example. A RRSIG NSEC
apart.wild.fed.example. 60 IN RRSIG NSEC 13 4 60 20360101000000 20260101000000 47253 fed.example. axIAWCGG1ew+3L2tw6e5w4Nq0n+v/mIqNkyDUMCgricgsDrM4iAER58DvRGGJ7UfKNZ6PBdsNyoTpBnem7Ul7A==
www.fed.example. 300 IN CNAME blog.fed.example.
www.fed.example. 300 IN RRSIG CNAME 13 3 300 20360101000000 20260101000000 47253 fed.example. iYoOf+SmrVxSAleck1esqwqgp2MADXh8yKi1gYs20jedigsGzQSWUH/Ce2Ucyo5260eouwNp7M3sww21+wfQvg==
www.fed.example. 60 IN NSEC fed.example. CNAME RRSIG NSEC
www.fed.example. 60 IN RRSIG NSEC 13 3 60 20360101000000 20260101000000 47253 fed.example. fdJ6oKaeFV9UEs6OC6W03wmiGmdce7/pNekPtohPhh2EJnlasSJYYlpKvoGDWkvmfWjCwyMpfAUZC9EO/Z+y0g==
)"},
    {"dnssec-signzone, Ed25519",
     "fed.example. IN DS 21594 15 4 "
     "16588500BDA7518ABB82C5116AB26BB9CA1E8056CEF63D668F74042CBBE4F95861B10F5C9C07B3D5A2C0D43EBFE83"
     "D2C",
     R"(fed.example. 300 IN SOA ns.fed.example. host.fed.example. 7 3600 600 86400 60
fed.example. 300 IN RRSIG SOA 15 2 300 20360101000000 20260101000000 48028 fed.example. Qt+bw3xzY/mBerQgOKJVBwtKCdFCv2m2E0aVbZle7s5W6qjLuA6ttPjR Tr8SQkXlmymfDpANJb0s0onDpIRSBw==
fed.example. 300 IN NS ns.fed.example.
fed.example. 300 IN RRSIG NS 15 2 300 20360101000000 20260101000000 48028 fed.example. rAcilQqFbFdtV11PU/hWh522baPxUCWzuo0lNtN2gMrUDe+hCJ+Kx0Ui CignVJGReobMi3A7k2KDQ6yRO5WAAQ==
fed.example. 60 IN NSEC away.fed.example. NS SOA RRSIG NSEC DNSKEY
fed.example. 60 IN RRSIG NSEC 15 2 60 20360101000000 20260101000000 48028 fed.example. MQEr/jQ6pTa1pOT6b92/vebbE2fQkdOjUVJQTHNPk3EiXyuGAakn7ten +7pNIlyUo6pnacN1Z8nyRPmycojaBg==
fed.example. 300 IN DNSKEY 256 3 15 XIzB+4F5Bl7uYnMxdmD3RJPGMuDg/OlzbObYAc/UnB8=
fed.example. 300 IN DNSKEY 257 3 15 ZCb9QT4LeUazAO+v121wUJsbQzwaAGYKZ8JgG+lEPZw=
fed.example. 300 IN RRSIG DNSKEY 15 2 300 20360101000000 20260101000000 21594 fed.example. wDVHme5AID+3XO6VQ/DYavA+yJd2qq28wu1XjoDe1g8ZkUiU27RBBOoB QLXOO0xiHIM0YgbbgY+BWYtTdumkAQ==
blog.fed.example. 300 IN TXT "v=1" "ports=80/tcp"
blog.fed.example. 300 IN RRSIG TXT 15 3 300 20360101000000 20260101000000 48028 fed.example. CPqSvZDUwAmaTdYPSRYdPQEf5dWcy0lWTbOm9tly6qFcc8JVqAvuPymp 1J0WvKRP9PiiB2nsMOrOc++LSM+MBQ==
Blog.fed.example. 300 IN KEY 512 3 15 PhyATEUIn0+1MsRUGbGKvVGrkWSMFJSXSOe8ayHA32c=
blog.fed.example. 300 IN RRSIG KEY 15 3 300 20360101000000 20260101000000 48028 fed.example. kS4NftEQnbtZAehawDrl4ToDfGrTmZEXnKCKhq1+taMuTpGLezRkXGoz KGxltqYVVa8Qr8veIz/t5IxR4jIHAQ==
blog.fed.example. 60 IN NSEC _80._tcp.blog.fed.example. TXT KEY RRSIG NSEC
blog.fed.example. 60 IN RRSIG NSEC 15 3 60 20360101000000 20260101000000 48028 fed.example. 69YHrnXm9XpPeRO1uGmd2uS+bseGeR8BRiU3kIY5X77cDqdaTEt7Rx/L qKku1FzMlfzeIM7lOuCrljHrF1XDBg==
away.fed.example. 300 IN CNAME www.example.org.
away.fed.example. 300 IN RRSIG CNAME 15 3 300 20360101000000 20260101000000 48028 fed.example. lEeH4wXMF1XerrMWwobOGJEWa64emQ8xU2JaP1VMJ2S/kc+NrKNr/s91 IE1nvBxM7mA3JsytmrInuQyvEQrcAg==
away.fed.example. 60 IN NSEC blog.fed.example. CNAME RRSIG NSEC
away.fed.example. 60 IN RRSIG NSEC 15 3 60 20360101000000 20260101000000 48028 fed.example. LR8gcb85wOLZRiD9PERIsSe/36Qe8RZL7SQz/BLUPID1y1cHI4c9iqyK d+ht2wqZjMmHiDYZO5/ZCW4cVFzmCA==
x.new.fed.example. 300 IN A 192.0.2.7
x.new.fed.example. 300 IN RRSIG A 15 4 300 20360101000000 20260101000000 48028 fed.example. daL+An8MUxo75yrmMiGsOqmzKFxiY3O3i+8ltltr09TJ5m/T6qx3PJk5 /OFZ+tFvRBnL1RWy8/EP4rXGvmv7Aw==
x.new.fed.example. 60 IN NSEC deep.under.nothing.fed.example. A RRSIG NSEC
x.new.fed.example. 60 IN RRSIG NSEC 15 4 60 20360101000000 20260101000000 48028 fed.example. hJR2HOgwFm63/xk6vql87exxtLlF6sZ43Wfkquqad4N3wZDSEZQlg6Et rLW/PR8HO71KvNlrV45wQSaMjhTNCA==
deep.under.nothing.fed.example. 300 IN A 192.0.2.9
deep.under.nothing.fed.example. 300 IN RRSIG A 15 5 300 20360101000000 20260101000000 48028 fed.example. 4J4XUYFUywxV8OmI7hnfOOBdw8L2Q84VlSYFnF+0w0sdCGS5qkHx52Hj FP8fDwIYH23XjCzewrmEj198ZPTUDQ==
deep.under.nothing.fed.example. 60 IN NSEC ns.fed.example. A RRSIG NSEC
deep.under.nothing.fed.example. 60 IN RRSIG NSEC 15 5 60 20360101000000 20260101000000 48028 fed.example. mLXM23hUQCa++aUJm7Tnl/jCMZXealwc46jGHKmAsbZqcrP+Wa5ph03L FL/JLnwnLuUauQtaWnQHQPW6dvD/Cw==
_80._tcp.blog.fed.example. 300 IN SRV 0 0 8080 a.peers.fed.example.
_80._tcp.blog.fed.example. 300 IN RRSIG SRV 15 5 300 20360101000000 20260101000000 48028 fed.example. GQ7iUXnSMpVh/AANzJEeERPYBJk1xkKJCaWXZUNo37USO9SIGpgaCVvi bPWoPZ35O3JrmQrsgkl2NPNk2Z4XAg==
_80._tcp.blog.fed.example. 60 IN NSEC x.new.fed.example. SRV RRSIG NSEC
_80._tcp.blog.fed.example. 60 IN RRSIG NSEC 15 5 60 20360101000000 20260101000000 48028 fed.example. GM6nKAJUi+uK7xjNORZ9RHWVb1tBh8F3kiV+JUUFDk1vKeKumoaOK9W2 H9eby9mDa6jRhgPdD6GucBc0+w5GCw==
ns.fed.example. 300 IN A 192.0.2.53
ns.fed.example. 300 IN RRSIG A 15 3 300 20360101000000 20260101000000 48028 fed.example. 9iAh8CvTMGeOt9L9ztazDdAQLzJpSZvt+5yYqyj6I5BYv6QQstwvhv6M V26cXh+zIVAN5n4PP1W18bLGzBV3CA==
ns.fed.example. 60 IN NSEC old.fed.example. A RRSIG NSEC
ns.fed.example. 60 IN RRSIG NSEC 15 3 60 20360101000000 20260101000000 48028 fed.example. qhHKVOD3c0KH7V1Emke572FvE5cvZ8OcgsTqMnJrfs8McAY60LvKcWs2 do+RLlfoQpSIOBYWRqCuBXC7CMoVAw==
ns.secure.fed.example. 300 IN A 192.0.2.55
old.fed.example. 300 IN DNAME new.fed.example.
old.fed.example. 300 IN RRSIG DNAME 15 3 300 20360101000000 20260101000000 48028 fed.example. MjqCX9rUewa0RVNwFYKDjfRB2WeYQasirM6IVqly1Df1C+v5OVjCZFiV 341/LnykUES3g++ky5jKc5Mckf1kCg==
old.fed.example. 60 IN NSEC a.peers.fed.example. DNAME RRSIG NSEC
old.fed.example. 60 IN RRSIG NSEC 15 3 60 20360101000000 20260101000000 48028 fed.example. F+H04LrWxmfphdykVA918GZEQQOiGYuLQjlRPh4Hk5JSUMhAXEyGXiSC KOJtCx++n+IytqPLWBC2ixIeJte7DQ==
ns.sub.fed.example. 300 IN A 192.0.2.54
a.peers.fed.example. 300 IN A 192.0.2.11
a.peers.fed.example. 300 IN RRSIG A 15 4 300 20360101000000 20260101000000 48028 fed.example. uVHHF4W6oyhXlBfTSB0b6PcRYAI50jByprJuIfq81utElV+xtSbt+ZfV ZHLguLnH+TlJM4/iZml3XlUHgk4XBA==
a.peers.fed.example. 300 IN AAAA 2001:db8::11
a.peers.fed.example. 300 IN RRSIG AAAA 15 4 300 20360101000000 20260101000000 48028 fed.example. EbO2reZC9lxoKUpdf+sn66wyxF8Yqpnm86Rd0ucad7lmsW1buiNvijsO TcZmOiXt4vl1AUYonhJX66NJmb+WBw==
a.peers.fed.example. 60 IN NSEC secure.fed.example. A AAAA RRSIG NSEC
a.peers.fed.example. 60 IN RRSIG NSEC 15 4 60 20360101000000 20260101000000 48028 fed.example. qwQXH++LHdtxgFot3O6cYeyAKZ5A6NRTfig9NuQRu1bHsabq56mlpU9T ymOMnhXcOHLOfYMMeBUw7DhIcztnCQ==
secure.fed.example. 300 IN NS ns.secure.fed.example.
secure.fed.example. 300 IN DS 12345 13 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF01234567 89ABCDEF
secure.fed.example. 300 IN RRSIG DS 15 3 300 20360101000000 20260101000000 48028 fed.example. kMwVV6TfnYSmm6TesZzEDTOijQ6QLoCfF8AyhYSLUzkL+mSPFbfX5N3i XWX5pmL+uXfND6F69G5C0+2ENFryBQ==
secure.fed.example. 60 IN NSEC sub.fed.example. NS DS RRSIG NSEC
secure.fed.example. 60 IN RRSIG NSEC 15 3 60 20360101000000 20260101000000 48028 fed.example. hXrInXz5TA/GxBHWqJF9JhKkccvNrtjywQAz/JJ7dJEmThZpRZbBtJKN cBEkl/5O8C7z+j9WIFX40i+swBB5DA==
sub.fed.example. 300 IN NS ns.sub.fed.example.
sub.fed.example. 60 IN NSEC *.wild.fed.example. NS RRSIG NSEC
sub.fed.example. 60 IN RRSIG NSEC 15 3 60 20360101000000 20260101000000 48028 fed.example. 2HMPYNlBVIeXK23b/eFafc1DU6TLp8yl0MuEhv7DV91z69NDA3XRVbS7 Da42N/e7bL6DzVzeycGxVst/0yjCBA==
*.wild.fed.example. 300 IN TXT "whoever"
*.wild.fed.example. 300 IN RRSIG TXT 15 3 300 20360101000000 20260101000000 48028 fed.example. Ko7Nnfm38Y61b9EQQSNRvRO9Fb7APMX+XqN9ubTQqyweT8KtlT/vESeB UXFopRMNJr51eikmO1RtpK5CWP1gCg==
*.wild.fed.example. 60 IN NSEC apart.wild.fed.example. TXT RRSIG NSEC
*.wild.fed.example. 60 IN RRSIG NSEC 15 3 60 20360101000000 20260101000000 48028 fed.example. CaqUzBpbMj5W2LBVoKHsphEjitMX9Ug+XC+xf6xehIqQP2qgttr1PwWM qJ4yi+vVJf3ahoTJ1EZFUyvDErN3DA==
apart.wild.fed.example. 300 IN A 192.0.2.8
apart.wild.fed.example. 300 IN RRSIG A 15 4 300 20360101000000 20260101000000 48028 fed.example. yaEsNE8hsjcMwC+7DmHsJ1eBO3cIckExq7rQZO1jtTBnZtPPRkzM6MR0 3pBZolHqXQAnyTiKh8+81jwkEzu2Cw==
apart.wild.fed.example. 60 IN NSEC www.fed.example. A RRSIG NSEC
apart.wild.fed.example. 60 IN RRSIG NSEC 15 4 60 20360101000000 20260101000000 48028 fed.example. qIYvjbePK73SSvzsQ95xFpQf8rsogQmbfWJYO5nP63HI0pyju4AikARq gUgh8NAt4JKKYWBR6gqdvg4GD9TcAg==
www.fed.example. 300 IN CNAME blog.fed.example.
www.fed.example. 300 IN RRSIG CNAME 15 3 300 20360101000000 20260101000000 48028 fed.example. /q1mkeP8tTjEvAIX8PLuiPBCA4yYRJrLKqti/wo7vRw/hlYyi5fLUjPr gKr9WlgXMlbgPU7+bhxRQy4t6b7gDg==
www.fed.example. 60 IN NSEC fed.example. CNAME RRSIG NSEC
www.fed.example. 60 IN RRSIG NSEC 15 3 60 20360101000000 20260101000000 48028 fed.example. azwbyjt4MWOrfe0zMXmI2UXClqOFxaH11gEd8UcOGiZNsQbPfaHrkFeV CQncHBP/IKFto1LMvnajrvpgat0hDg==
)"}};

}  // namespace mutua
