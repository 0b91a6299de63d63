import agent from '../../../../docs/agents/snippets/agent.sh?raw'
import collectd from '../../../../docs/agents/snippets/collectd.conf?raw'
import curl from '../../../../docs/agents/snippets/curl.sh?raw'
import datadog from '../../../../docs/agents/snippets/datadog.yaml?raw'
import influxdb from '../../../../docs/agents/snippets/influxdb.py?raw'
import opentelemetry from '../../../../docs/agents/snippets/opentelemetry.yaml?raw'
import prometheus from '../../../../docs/agents/snippets/prometheus.yml?raw'
import python from '../../../../docs/agents/snippets/send.py?raw'
import telegraf from '../../../../docs/agents/snippets/telegraf.conf?raw'

/** Placeholders in docs/agents/snippets that are replaced with the user's values. */
const ANY_URL = 'https://pulseboard.example.com'
const ANY_KEY = 'pb_YOUR_KEY'

export type Agent = {
  id: string
  name: string
  /** What it sends, or for whom it is meant. */
  about: string
  /** Where the text goes. */
  where: string
  text: string
  /** What to do next. */
  after?: string
}

/** The ways to send data. The snippets are those of docs/agents. */
export const AGENTS: Agent[] = [
  {
    id: 'agent',
    name: 'Pulseboard agent',
    about: 'CPU, memory, disk, network and load of a host, every ten seconds.',
    where: 'Run this on each host (Python 3.11 or later):',
    text: agent,
    after: 'It runs until you stop it. To start it at boot, install it as a service.',
  },
  {
    id: 'prometheus',
    name: 'Prometheus',
    about: 'Send from your Prometheus server by remote write. Alloy and vmagent work too.',
    where: 'Add this to prometheus.yml:',
    text: prometheus,
    after: 'Then reload it: systemctl reload prometheus.',
  },
  {
    id: 'opentelemetry',
    name: 'OpenTelemetry',
    about: 'Add a second exporter to your Collector: OTLP over HTTP.',
    where: "Add this to the Collector's configuration, next to its existing exporters:",
    text: opentelemetry,
    after: 'Then restart the Collector. An SDK can also send without one: see the documentation.',
  },
  {
    id: 'telegraf',
    name: 'Telegraf',
    about: 'Add a second output to your Telegraf, using the InfluxDB 2 protocol.',
    where: 'Add this to telegraf.conf:',
    text: telegraf,
    after: 'Then restart it: systemctl restart telegraf.',
  },
  {
    id: 'datadog',
    name: 'Datadog Agent',
    about: 'Everything that the Agent collects is also sent here. It keeps sending to Datadog.',
    where: 'Add this to /etc/datadog-agent/datadog.yaml:',
    text: datadog,
    after: 'Then restart it: systemctl restart datadog-agent.',
  },
  {
    id: 'collectd',
    name: 'collectd',
    about: 'Add a second output to your collectd, using the write_http plugin.',
    where: 'Save this as /etc/collectd/collectd.conf.d/pulseboard.conf:',
    text: collectd,
    after: 'Then restart it: systemctl restart collectd.',
  },
  {
    id: 'influxdb',
    name: 'InfluxDB client',
    about:
      'For programs that write to InfluxDB with an official client. This example is in Python.',
    where: 'Save this to a file and run it (pip install influxdb-client):',
    text: influxdb,
  },
  {
    id: 'curl',
    name: 'curl',
    about: 'Send a value from a shell script or a cron job.',
    where: 'Run this in a terminal:',
    text: curl,
  },
  {
    id: 'python',
    name: 'Python',
    about: 'Send values from a program, without extra packages.',
    where: 'Save this to a file and run it:',
    text: python,
  },
]

/** Where a snippet's addresses lead. */
export type Addresses = {
  /** Of this page, which also has the agent's package. */
  browser: string
  /** Where samples are sent. */
  agents: string
}

/** The snippet with the user's addresses and, if there is one, key. */
export function fill(text: string, { browser, agents }: Addresses, key?: string): string {
  const own = text.replaceAll(`${ANY_URL}/agent/`, `${browser}/agent/`).replaceAll(ANY_URL, agents)
  return (key ? own.replaceAll(ANY_KEY, key) : own).trimEnd()
}
