#include "authority/store/postgres_session.h"

#include <libpq-fe.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <pqxx/pqxx>
#include <utility>

#include "authority/store/socket_watchdog.h"
#include "base/encoding.h"
#include "base/log.h"

namespace mutua::authority::postgres {
namespace {

using Words = std::map<std::string, std::string>;

// What libpq does not do by itself. The times are in seconds, tcp_user_timeout's in milliseconds.
const Words kDefaults{{"target_session_attrs", "read-write"},
                      {"connect_timeout", "2"},
                      {"keepalives_idle", "5"},
                      {"keepalives_interval", "2"},
                      {"keepalives_count", "3"},
                      {"tcp_user_timeout", "10000"},
                      {"application_name", "mutua-authority"}};

std::string quoted_word(const std::string& word) {
  std::string out = "'";
  for (const char letter : word) {
    if (letter == '\'' || letter == '\\') out += '\\';
    out += letter;
  }
  return out + "'";
}

Result<Words> parse_words(const std::string& text) {
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(text.c_str(), &message), &PQconninfoFree);
  const std::unique_ptr<char, decltype(&PQfreemem)> owned_message(message, &PQfreemem);
  if (!options) return Error(message ? message : "out of memory");
  Words words;
  for (const PQconninfoOption* option = options.get(); option->keyword; ++option)
    if (option->val) words[option->keyword] = option->val;
  return words;
}

std::string without_line_end(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  std::ranges::replace(text, '\n', ' ');
  return text;
}

// What the server says beside its answers.
class NoticeLog final : public pqxx::errorhandler {
 public:
  using errorhandler::errorhandler;
  bool operator()(const char message[]) noexcept override {
    log::debug("database.notice", {{"text", without_line_end(message)}});
    return false;
  }
};

class Receiver final : public pqxx::notification_receiver {
 public:
  using notification_receiver::notification_receiver;
  void operator()(const std::string& payload, int) override { payloads.push_back(payload); }
  std::vector<std::string> payloads;
};

}  // namespace

bool Address::is_meant(std::string_view text) {
  if (text.starts_with("postgresql://") || text.starts_with("postgres://")) return true;
  const auto word_end = std::ranges::find_if_not(
      text, [](unsigned char letter) { return std::islower(letter) || letter == '_'; });
  return word_end != text.begin() && word_end != text.end() && *word_end == '=';
}

Result<Address> Address::parse(const std::string& text) {
  auto words = parse_words(text);
  if (!words.ok())
    return Error("not a PostgreSQL database: " + without_line_end(words.error().message()));
  words->insert(kDefaults.begin(), kDefaults.end());
  Address address;
  for (const auto& [key, value] : *words)
    address.connection_string_ += key + "=" + quoted_word(value) + " ";
  const std::string host = words->contains("host") ? words->at("host") : (*words)["hostaddr"];
  address.label_ = "postgresql://" + host + "/" + (*words)["dbname"];
  return address;
}

struct Rows::Data {
  pqxx::result result;
};

std::size_t Rows::size() const { return data_ ? data_->result.size() : 0; }

bool Rows::is_null(std::size_t row, int column) const {
  return data_->result[static_cast<pqxx::result::size_type>(row)][column].is_null();
}

std::string_view Rows::text(std::size_t row, int column) const {
  const auto field = data_->result[static_cast<pqxx::result::size_type>(row)][column];
  return {field.c_str(), field.size()};
}

Result<std::int64_t> Rows::integer(std::size_t row, int column) const {
  const std::string_view digits = text(row, column);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size())
    return Error("the database holds no number where one is expected");
  return value;
}

Result<Bytes> Rows::bytes(std::size_t row, int column) const {
  std::string_view digits = text(row, column);
  if (!digits.starts_with("\\x"))
    return Error("the database holds no octets where they are expected");
  digits.remove_prefix(2);
  return hex_decode(digits);
}

std::string literal(BytesView octets) { return "'\\x" + hex_encode(octets) + "'::bytea"; }

std::string quoted_name(std::string_view name) {
  std::string out = "\"";
  for (const char letter : name) {
    if (letter == '"') out += '"';
    out += letter;
  }
  return out + "\"";
}

struct Session::Connection {
  explicit Connection(const std::string& words) : connection(words), notices(connection) {}
  // The receiver would say good-bye to a server that may not answer any more.
  ~Connection() {
    if (receiver) ::shutdown(connection.sock(), SHUT_RDWR);
  }

  pqxx::connection connection;
  NoticeLog notices;
  std::unique_ptr<Receiver> receiver;
  SocketWatchdog watchdog;
};

Session::Session(Address address) : address_(std::move(address)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

Result<void> Session::connect() {
  disconnect();
  try {
    connection_ = std::make_unique<Connection>(address_.connection_string());
  } catch (const std::exception& failure) {
    return Error("connect to " + address_.label() + ": " + without_line_end(failure.what()));
  }
  return {};
}

void Session::disconnect() { connection_.reset(); }

bool Session::is_connected() const { return connection_ && connection_->connection.is_open(); }

Result<Rows> Session::execute(const std::string& sql, std::chrono::milliseconds patience) {
  // Of itself libpqxx would begin a new session, outside of any transaction that was under way.
  if (!is_connected()) return Error(address_.label() + ": the connection is lost");
  try {
    const SocketWatchdog::Watch watch(connection_->watchdog, socket(), patience);
    pqxx::nontransaction statement(connection_->connection);  // BEGIN and COMMIT are ours to say
    return Rows(std::make_shared<const Rows::Data>(Rows::Data{statement.exec(sql)}));
  } catch (const std::exception& failure) {
    return Error(address_.label() + ": " + without_line_end(failure.what()));
  }
}

Result<void> Session::listen(const std::string& channel) {
  if (!is_connected()) return Error(address_.label() + ": the connection is lost");
  try {
    const SocketWatchdog::Watch watch(connection_->watchdog, socket(), std::chrono::seconds(10));
    connection_->receiver = std::make_unique<Receiver>(connection_->connection, channel);
  } catch (const std::exception& failure) {
    return Error(address_.label() + ": " + without_line_end(failure.what()));
  }
  return {};
}

Result<std::vector<std::string>> Session::notifications() {
  if (!is_connected()) return Error(address_.label() + ": the connection is lost");
  try {
    connection_->connection.get_notifs();
  } catch (const std::exception& failure) {
    return Error(address_.label() + ": " + without_line_end(failure.what()));
  }
  return std::exchange(connection_->receiver->payloads, {});
}

int Session::socket() const { return connection_->connection.sock(); }

}  // namespace mutua::authority::postgres
