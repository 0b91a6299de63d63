import { client } from './generated/client.gen'

client.setConfig({ baseUrl: '', credentials: 'same-origin', throwOnError: true })

export { client }
