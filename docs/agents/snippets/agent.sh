python3 -m venv ~/pulseboard-agent
~/pulseboard-agent/bin/pip install --upgrade pip
~/pulseboard-agent/bin/pip install 'pulseboard[agent] @ https://pulseboard.example.com/agent/pulseboard-0.1.0-py3-none-any.whl'
export PULSEBOARD_API_KEY=pb_YOUR_KEY
~/pulseboard-agent/bin/pulseboard agent --url https://pulseboard.example.com
