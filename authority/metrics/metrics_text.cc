#include "authority/metrics/metrics_text.h"

#include <string_view>
#include <vector>

namespace mutua::authority {
namespace {

// Collects samples under their names.
class Exposition {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = "mutua_authority_" + std::string(name);
    text_ += "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " +
             std::string(type) + "\n";
  }
  void sample(std::string_view labels, std::uint64_t value) {
    text_ += name_;
    if (!labels.empty()) text_ += "{" + std::string(labels) + "}";
    text_ += " " + std::to_string(value) + "\n";
  }
  std::string take() { return std::move(text_); }

 private:
  std::string name_, text_;
};

struct Transported {
  std::string_view label;
  const std::vector<const AnswerCounters*>& threads;
};

template <typename Pick>
std::uint64_t sum(const std::vector<const AnswerCounters*>& threads, Pick pick) {
  std::uint64_t total = 0;
  for (const AnswerCounters* one : threads) total += pick(*one).value();
  return total;
}

template <typename Pick>
void by_transport(Exposition& out, std::span<const Transported> all, Pick pick) {
  for (const Transported& one : all)
    if (!one.threads.empty())
      out.sample("transport=\"" + std::string(one.label) + "\"", sum(one.threads, pick));
}

void put_answers(Exposition& out, std::span<const Transported> all) {
  const auto datagrams = all.first(2);
  out.family("requests_total", "counter", "Messages that came.");
  by_transport(out, all, [](const AnswerCounters& c) -> const Counter& { return c.requests; });
  out.family("responses_total", "counter", "Responses that the query path gave, by RCODE.");
  for (const Transported& one : all) {
    for (std::size_t rcode = 0; rcode < AnswerCounters::kRcodes; ++rcode) {
      const std::uint64_t count = sum(one.threads, [&](const AnswerCounters& c) -> const Counter& {
        return c.responses[rcode];
      });
      if (count != 0)
        out.sample("transport=\"" + std::string(one.label) + "\",rcode=\"" +
                       wire::to_text(static_cast<wire::Rcode>(rcode)) + "\"",
                   count);
    }
  }
  out.family("truncated_total", "counter", "Responses with TC.");
  by_transport(out, datagrams,
               [](const AnswerCounters& c) -> const Counter& { return c.truncated; });
  out.family("handed_over_total", "counter", "Updates, and questions for upstream resolvers.");
  by_transport(out, all, [](const AnswerCounters& c) -> const Counter& { return c.handed_over; });
  out.family("valid_cookies_total", "counter", "Questions with a cookie of ours.");
  by_transport(out, datagrams,
               [](const AnswerCounters& c) -> const Counter& { return c.valid_cookies; });
  out.family("rate_limited_total", "counter", "Responses that the rate limit kept back.");
  const auto limited = [&](auto pick) {
    std::uint64_t total = 0;
    for (const Transported& one : datagrams) total += sum(one.threads, pick);
    return total;
  };
  out.sample("action=\"dropped\"",
             limited([](const AnswerCounters& c) -> const Counter& { return c.limited_dropped; }));
  out.sample("action=\"short\"",
             limited([](const AnswerCounters& c) -> const Counter& { return c.limited_short; }));
}

void put_connections(Exposition& out, const Server::Statistics& server) {
  const auto each = [&](const Counter ConnectionCounters::*member) {
    for (const auto* one : server.tcp_connections)
      out.sample("transport=\"tcp\"", (one->*member).value());
    for (const auto* one : server.tls_connections)
      out.sample("transport=\"tls\"", (one->*member).value());
  };
  out.family("connections", "gauge", "Connections that are open.");
  each(&ConnectionCounters::open);
  out.family("connections_accepted_total", "counter", "Connections that were accepted.");
  each(&ConnectionCounters::accepted);
  out.family("connections_refused_total", "counter", "Connections closed at once: limits.");
  each(&ConnectionCounters::refused);
  out.family("connections_timed_out_total", "counter", "Connections closed without progress.");
  each(&ConnectionCounters::timed_out);
}

void put_updates(Exposition& out, const WriterCounters& writer) {
  out.family("updates_total", "counter", "DNS UPDATEs, by what became of them.");
  out.sample("outcome=\"executed\"", writer.executed.value());
  out.sample("outcome=\"refused\"", writer.refused.value());
  out.sample("outcome=\"unauthenticated\"", writer.unauthenticated.value());
  out.sample("outcome=\"repeated\"", writer.repeated.value());
  out.family("commits_total", "counter", "Durable commits; each may hold many updates.");
  out.sample("", writer.commits.value());
  out.family("commit_microseconds_total", "counter", "Time spent in commits.");
  out.sample("", writer.commit_microseconds.value());
  out.family("commit_failures_total", "counter", "Commits that failed.");
  out.sample("", writer.commit_failures.value());
  out.family("signature_checks_total", "counter", "Verifications of SIG(0) signatures.");
  out.sample("", writer.signature_checks.value());
}

void put_tap(Exposition& out, const Tap& tap) {
  out.family("dnstap_exchanges_total", "counter",
             "Questions with their answers, and halves of updates, for dnstap.");
  out.sample("outcome=\"told\"", tap.told().value());
  out.sample("outcome=\"dropped\"", tap.dropped());
}

}  // namespace

std::string metrics_text(const Server::Statistics& server, const WriterCounters* writer,
                         const ZoneVersion& version, const Tap* tap) {
  Exposition out;
  const std::array<Transported, 4> all{
      // datagrams first
      {{"udp", server.udp}, {"xdp", server.xdp}, {"tcp", server.tcp}, {"tls", server.tls}}};
  put_answers(out, all);
  put_connections(out, server);
  if (writer) put_updates(out, *writer);
  if (tap) put_tap(out, *tap);
  out.family("zone_serial", "gauge", "The serial that is served.");
  out.sample("", version.serial());
  out.family("zone_rrsets", "gauge", "RRsets in the zone.");
  out.sample("", version.rrset_count());
  return out.take();
}

}  // namespace mutua::authority
