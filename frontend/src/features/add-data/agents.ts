import agent from '../../../../docs/agents/snippets/agent.sh?raw'
import collectd from '../../../../docs/agents/snippets/collectd.conf?raw'
import curl from '../../../../docs/agents/snippets/curl.sh?raw'
import datadog from '../../../../docs/agents/snippets/datadog.yaml?raw'
import influxdb from '../../../../docs/agents/snippets/influxdb.py?raw'
import opentelemetry from '../../../../docs/agents/snippets/opentelemetry.yaml?raw'
import prometheus from '../../../../docs/agents/snippets/prometheus.yml?raw'
import python from '../../../../docs/agents/snippets/send.py?raw'
import telegraf from '../../../../docs/agents/snippets/telegraf.conf?raw'

/** What stands in the files of docs/agents/snippets where a user's own values belong. */
const ANY_URL = 'https://pulseboard.example.com'
const ANY_KEY = 'pb_YOUR_KEY'

export type Agent = {
  id: string
  name: string
  /** For whom it is. */
  about: string
  /** Where the text goes. */
  where: string
  text: string
  /** What to do when it is there. */
  after?: string
}

/** How data comes in. The texts are those of docs/agents. */
export const AGENTS: Agent[] = [
  {
    id: 'agent',
    name: 'Pulseboard agent',
    about: 'CPU, memory, disks, network and load of a machine, every ten seconds.',
    where: 'Run this on each host (Python 3.11 or later):',
    text: agent,
    after: 'It keeps running. To start it with the machine, make it a service.',
  },
  {
    id: 'prometheus',
    name: 'Prometheus',
    about: 'A second output of the Prometheus you run, by remote write. Alloy and vmagent too.',
    where: 'Add this to prometheus.yml:',
    text: prometheus,
    after: 'Then reload it: systemctl reload prometheus.',
  },
  {
    id: 'opentelemetry',
    name: 'OpenTelemetry',
    about: 'A second exporter of the Collector you run, by OTLP over HTTP.',
    where: "Add this to the Collector's configuration, beside the exporters it has:",
    text: opentelemetry,
    after: 'Then restart it. An SDK sends without a Collector too: see the documentation.',
  },
  {
    id: 'telegraf',
    name: 'Telegraf',
    about: 'A second output of the Telegraf you run, in the protocol of InfluxDB 2.',
    where: 'Add this to telegraf.conf:',
    text: telegraf,
    after: 'Then restart it: systemctl restart telegraf.',
  },
  {
    id: 'datadog',
    name: 'Datadog Agent',
    about: 'All that the Agent measures, here as well: it goes on sending to Datadog.',
    where: 'Add this to /etc/datadog-agent/datadog.yaml:',
    text: datadog,
    after: 'Then restart it: systemctl restart datadog-agent.',
  },
  {
    id: 'collectd',
    name: 'collectd',
    about: 'A second output of the collectd you run, by its plugin write_http.',
    where: 'Save this as /etc/collectd/collectd.conf.d/pulseboard.conf:',
    text: collectd,
    after: 'Then restart it: systemctl restart collectd.',
  },
  {
    id: 'influxdb',
    name: 'InfluxDB client',
    about: 'A program that writes to InfluxDB: the official clients, here in Python.',
    where: 'Put this into a file and run it (pip install influxdb-client):',
    text: influxdb,
  },
  {
    id: 'curl',
    name: 'curl',
    about: 'A number from a shell script or a cron job.',
    where: 'Run this in a terminal:',
    text: curl,
  },
  {
    id: 'python',
    name: 'Python',
    about: 'Numbers from a program, without any package.',
    where: 'Put this into a file and run it:',
    text: python,
  },
]

/** The text with the user's own address and, when there is one, key. */
export function fill(text: string, url: string, key?: string): string {
  const own = text.replaceAll(ANY_URL, url)
  return (key ? own.replaceAll(ANY_KEY, key) : own).trimEnd()
}
